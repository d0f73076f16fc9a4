#pragma once

namespace gloo::transport {

// Without members. Its other functions do not matter here: nobody calls them.
class Device {
 public:
  virtual ~Device() = 0;
};

} // namespace gloo::transport

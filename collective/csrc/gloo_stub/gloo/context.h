#pragma once

#include <chrono>

namespace gloo {

class Context {
 public:
  // libtorch 2.11's header calls it inline; libtorch exports it.
  void setTimeout(std::chrono::milliseconds timeout);
};

namespace transport {
class UnboundBuffer;
} // namespace transport

} // namespace gloo

// Where a rank on a CPU listens for its peers: one socket of Gloo's for all its connections.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <gloo/transport/device.h>

namespace tandem {

class GlooDevice {
 public:
  // Listens on a free port of `host`, as Gloo always does at first.
  explicit GlooDevice(const char* host);

  // Listens on this port instead, as long as no group was formed with it. False if the port is taken.
  bool move_to(uint16_t port);

  const std::shared_ptr<::gloo::transport::Device>& get() const { return device_; }

 private:
  std::string host_;
  std::shared_ptr<::gloo::transport::Device> device_;
};

} // namespace tandem

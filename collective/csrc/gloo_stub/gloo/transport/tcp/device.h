// What gloo_device.cpp needs to give a device a port of its choice. Members are where libtorch has them, which
// gloo_device.cpp checks before it changes one.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <memory>
#include <string>

#include <gloo/transport/device.h>
#include <torch/version.h>

namespace gloo::transport::tcp {

class Loop;

struct attr {
  std::string hostname;
  std::string iface;
  int ai_family;
  int ai_socktype;
  int ai_protocol;
  sockaddr_storage ai_addr;
  int ai_addrlen;
};

// The name of the interface that has this address.
const std::string sockaddrToInterfaceName(const attr& at);

// A socket that listens at `at`, served by the thread of `loop`.
class Listener {
 public:
  Listener(std::shared_ptr<Loop> loop, const attr& at);
  ~Listener();

 private:
  // Of libtorch alone: 384 bytes in 2.7, 408 in 2.11.
  alignas(std::max_align_t) std::byte members_[2048];
};

class Device : public ::gloo::transport::Device, public std::enable_shared_from_this<Device> {
 public:
  Device() = delete;
  ~Device() override;

  const attr attr_;
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 8
  const bool lazyInit_;
#endif
  std::shared_ptr<Loop> loop_;
  std::shared_ptr<Listener> listener_;
  std::string interfaceName_;
};

} // namespace gloo::transport::tcp

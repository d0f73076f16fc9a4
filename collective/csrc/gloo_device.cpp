#include "gloo_device.hpp"

#include <netinet/in.h>

#include <cerrno>
#include <new>
#include <system_error>

#include <gloo/transport/tcp/device.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "status.hpp"

namespace tandem {
namespace {

namespace tcp = ::gloo::transport::tcp;

// Whether the members of `device` are where our declaration has them: those before and after the listener tell.
bool is_as_declared(const tcp::Device& device, const std::string& host) {
  return device.attr_.hostname == host && device.interfaceName_ == tcp::sockaddrToInterfaceName(device.attr_);
}

// Gloo throws a text of its own, which ends in the system's.
bool says_taken(const std::exception& error) {
  return std::string(error.what()).find(std::generic_category().message(EADDRINUSE)) != std::string::npos;
}

// Neither make_shared nor delete: both would take the size of our declaration for the real one.
std::shared_ptr<tcp::Listener> listener_on(const tcp::Device& device, uint16_t port) {
  tcp::attr at = device.attr_;
  if (at.ai_addr.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(at.ai_addr).sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in&>(at.ai_addr).sin_port = htons(port);
  }
  return std::shared_ptr<tcp::Listener>(new tcp::Listener(device.loop_, at), [](tcp::Listener* owned) {
    owned->~Listener();
    ::operator delete(owned);
  });
}

} // namespace

GlooDevice::GlooDevice(const char* host)
    : host_(host),
      // The default device would look up the machine's own name, which may lead to any interface.
      device_(c10d::ProcessGroupGloo::createDeviceForHostname(host_)) {}

// Gloo has no word for a port: its functions and its constructor take an address, and look up the interface that has
// exactly that one, with port 0.
bool GlooDevice::move_to(uint16_t port) {
  auto* device = dynamic_cast<tcp::Device*>(device_.get());
  if (device == nullptr || !is_as_declared(*device, host_)) {
    throw Failure(Kind::Torch, "the Gloo of this libtorch cannot be given a port");
  }
  try {
    device->listener_ = listener_on(*device, port);
    return true;
  } catch (const std::exception& error) {
    if (says_taken(error)) {
      return false;
    }
    throw;
  }
}

} // namespace tandem

extern "C" {

int32_t tandem_gloo_device(const char* host, tandem::GlooDevice** device, char** message) {
  return tandem::guard(message, [&] { *device = new tandem::GlooDevice(host); });
}

int32_t tandem_gloo_device_move_to(tandem::GlooDevice* device, uint16_t port, bool* moved, char** message) {
  return tandem::guard(message, [&] { *moved = device->move_to(port); });
}

void tandem_gloo_device_free(tandem::GlooDevice* device) noexcept {
  delete device;
}

} // extern "C"

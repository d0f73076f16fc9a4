// How a call ends, seen from Rust. No exception leaves an `extern "C"` function: each body runs inside guard(), which
// turns whatever was thrown into a kind and a message.
#pragma once

#include <cstdint>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

namespace tandem {

// Why a call failed, as far as the type of the exception tells. Torch: libtorch threw one of its general exceptions, whose
// text src/torch_text.rs reads. Mirrored in src/ffi/status.rs.
enum class Kind : int32_t {
  Ok = 0,
  PeerLost = 1,
  Timeout = 2,
  Invalid = 3,
  Torch = 4,
  HostMemory = 5,
  DeviceMemory = 6,
  Unequal = 7, // ranks made unequal calls
};

// An exception of known kind. what() starts with a marker of the kind, because an exception that passes through the
// autograd engine reaches Rust as text only (src/torch_text.rs reads the marker).
class Failure : public std::runtime_error {
 public:
  Failure(Kind kind, const std::string& message);
  Kind kind;
  std::string message;
};

// The current exception as a Failure. Call it in a catch block only.
Failure current_failure() noexcept;

// Runs `body`; on an exception `*message` becomes a malloc'ed string that the caller frees with tandem_free.
template <typename Body>
int32_t guard(char** message, Body&& body) noexcept {
  try {
    body();
    return static_cast<int32_t>(Kind::Ok);
  } catch (...) {
    const Failure failure = current_failure();
    *message = strdup(failure.message.c_str());
    return static_cast<int32_t>(failure.kind);
  }
}

// Runs `body` and rethrows what it throws as a Failure, whose marker survives autograd.
template <typename Body>
auto classified(Body&& body) {
  try {
    return body();
  } catch (...) {
    throw current_failure();
  }
}

} // namespace tandem

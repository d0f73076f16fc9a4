#include "status.hpp"

#include <cstdlib>
#include <new>

#include <c10/util/Exception.h>
#include <gloo/common/error.h>
#include <torch/csrc/distributed/c10d/exception.h>

namespace tandem {
namespace {

const char* marker(Kind kind) {
  switch (kind) {
    case Kind::PeerLost:
      return "collective peer lost: ";
    case Kind::Timeout:
      return "collective timeout: ";
    case Kind::Invalid:
      return "collective invalid: ";
    case Kind::HostMemory:
      return "collective host memory: ";
    case Kind::DeviceMemory:
      return "collective device memory: ";
    case Kind::Unequal:
      return "collective unequal: ";
    case Kind::Ok:
    case Kind::Torch:
      break;
  }
  return "";
}

bool mentions_timeout(const std::string& text) {
  return text.find("imed out") != std::string::npos || text.find("imeout") != std::string::npos;
}

// Removes the build machine's path from "[/pytorch/.../pair.cc:534] Connection closed by peer".
std::string without_source(const std::string& text) {
  if (text.rfind("[/", 0) == 0) {
    const auto end = text.find("] ");
    if (end != std::string::npos) {
      return text.substr(end + 2);
    }
  }
  return text;
}

// Gloo and the store throw the same types for a silent peer and for a dead one. Only the text tells them apart.
Failure network(const std::string& text) {
  return Failure(mentions_timeout(text) ? Kind::Timeout : Kind::PeerLost, without_source(text));
}

} // namespace

Failure::Failure(Kind kind, const std::string& message)
    : std::runtime_error(marker(kind) + message), kind(kind), message(message) {}

Failure current_failure() noexcept {
  try {
    throw;
  } catch (const Failure& failure) {
    return failure;
  } catch (const gloo::IoException& error) {
    return network(error.what());
  } catch (const c10d::TimeoutError& error) {
    return Failure(Kind::Timeout, error.what_without_backtrace());
  } catch (const c10::DistNetworkError& error) {
    return network(error.what_without_backtrace());
  } catch (const c10::DistStoreError& error) {
    return network(error.what_without_backtrace());
  } catch (const c10::OutOfMemoryError& error) {
    return Failure(Kind::DeviceMemory, error.what_without_backtrace());
  } catch (const c10::IndexError& error) {
    return Failure(Kind::Invalid, error.what_without_backtrace());
  } catch (const c10::ValueError& error) {
    return Failure(Kind::Invalid, error.what_without_backtrace());
  } catch (const c10::TypeError& error) {
    return Failure(Kind::Invalid, error.what_without_backtrace());
  } catch (const c10::Error& error) {
    return Failure(Kind::Torch, error.what_without_backtrace());
  } catch (const std::bad_alloc& error) {
    return Failure(Kind::HostMemory, error.what());
  } catch (const std::exception& error) {
    return Failure(Kind::Torch, error.what());
  } catch (...) {
    return Failure(Kind::Torch, "an exception of unknown type was thrown");
  }
}

} // namespace tandem

extern "C" void tandem_free(char* message) {
  std::free(message);
}

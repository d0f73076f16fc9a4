// Gloo's headers are not in the wheel. These declare the few types that ProcessGroupGloo.hpp mentions; libtorch_cpu
// defines them. Our code must not construct any of them but tcp::Listener, nor call their virtual functions.
#pragma once

#include <chrono>
#include <stdexcept>

namespace gloo {

const std::chrono::milliseconds kNoTimeout = std::chrono::milliseconds(0);

// Thrown by the TCP transport and caught in status.cpp: type_info compares by name, so this definition matches.
struct Exception : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct IoException : public Exception {
  using Exception::Exception;
};

} // namespace gloo

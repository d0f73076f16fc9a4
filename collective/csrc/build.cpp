// What this libtorch is: its version, how it was built, and the instruction set that its own kernels chose on this processor.
#include <cstdint>
#include <cstring>
#include <string>

#include <ATen/Version.h>
#include <torch/version.h>

#include "status.hpp"

// Each of the three becomes a string that the caller frees with tandem_free.
extern "C" int32_t tandem_libtorch_build(char** version, char** build, char** instructions, char** message) {
  return tandem::guard(message, [&] {
    const std::string built = at::show_config();
    const std::string chosen = at::get_cpu_capability();
    *version = strdup(TORCH_VERSION);
    *build = strdup(built.c_str());
    *instructions = strdup(chosen.c_str());
  });
}

// How CUDA multiplies f32: a setting of the whole process. By default libtorch rounds the operands of convolutions (not
// of matrix products) to TF32, on GPUs since Ampere.
#include <cstdint>

#include <ATen/Context.h>

#include "status.hpp"

// The old setters: libtorch 2.7 has no others, and from 2.9 on they keep the new settings equal to their own.
extern "C" int32_t tandem_set_tf32(bool allowed, char** message) {
  return tandem::guard(message, [&] {
    at::globalContext().setAllowTF32CuDNN(allowed);
    at::globalContext().setAllowTF32CuBLAS(allowed);
  });
}

extern "C" int32_t tandem_get_tf32(bool* convolutions, bool* products, char** message) {
  return tandem::guard(message, [&] {
    *convolutions = at::globalContext().allowTF32CuDNN();
    *products = at::globalContext().allowTF32CuBLAS();
  });
}

// Loops of BatchNorm, ReLU and residual addition over a part of their tensors, forward and backward, with and without a
// tangent. kernels.cpp is compiled once for each set of instructions; batch_norm.cpp chooses and cuts.
//
// A tensor is a run of elements whose channels repeat: element k belongs to column k % width. `width` is the number of
// channels, or the least multiple of it that vectors divide. All per-channel numbers are given, and all sums are returned, by
// column.
//
// With m the mean, i = 1/sqrt(variance + epsilon), s = scale i, and b = shift - s m, the value is y = s x + b (+ residual), and
// relu keeps it where it is positive. Its tangent y' is linear in x and the tangent t of x; so are their derivatives. What
// multiplies what is in Columns.
#pragma once

#include <cstdint>

namespace tandem {

// Columns that every vector divides.
constexpr int64_t kColumns = 16;

// What tells whether ReLU let an element pass.
enum class Sign : int {
  None,   // there is no ReLU
  Input,  // s x + b, computed again: nothing but x is read
  Output, // y, since a residual was added
};

// Per-channel factors, one row of `width` each.
struct Columns {
  // Both directions.
  static constexpr int kScale = 0, kShift = 1, kMean = 2;
  // Forward: y' = s t + kTangentByX (x - m) + kTangentShift.
  // Backward, with a and b the derivatives by y and y': dt = s b + kTangentByX (x - m) + kTangentShift.
  static constexpr int kTangentByX = 3, kTangentShift = 4;
  // Backward: dx = s a + kByX (x - m) + kByConstant, with a tangent also + kByTangentGradient b + kByTangent t.
  static constexpr int kByX = 5, kByConstant = 6, kByTangentGradient = 7, kByTangent = 8;
  static constexpr int kCount = 9;
};

// Rows of sums, `width` each.
struct Sums {
  // Forward: of x, x x and, with a tangent, t, x t.
  static constexpr int kX = 0, kXX = 1, kT = 2, kXT = 3;
  // Backward: of a, a x and, with a tangent, b, b x, b t.
  static constexpr int kA = 0, kAX = 1, kB = 2, kBX = 3, kBT = 4;
  static constexpr int kCount = 5;
};

// The tensors, whole; null where an operation has none.
template <typename T>
struct Operands {
  int64_t width;
  const T* columns; // [Columns::kCount, width]
  const T *x, *t;
  const T *residual, *residual_tangent;
  const T* y; // what relu let pass, for Sign::Output
  const T *a, *b;
  T *out, *out_tangent;
  bool stream; // Writes pass by the caches.
};

// Elements from `begin` to `end`, the former at column 0. `sums` is [Sums::kCount, width] and overwritten; the operations without
// sums ignore it.
template <typename T>
using Kernel = void (*)(const Operands<T>&, int64_t begin, int64_t end, double* sums);

// Each by whether there is a tangent.
template <typename T>
struct Kernels {
  Kernel<T> moments[2];
  // out = y. By what follows BatchNorm: nothing, relu, addition and relu.
  Kernel<T> forward[2][3];
  // By Sign. For Sign::Output also out = a, out_tangent = b, where relu let pass.
  Kernel<T> gradient_moments[2][3];
  // out = dx, out_tangent = dt. By Sign::None and Sign::Input.
  Kernel<T> backward[2][2];
};

struct KernelSet {
  Kernels<float> in_float;
  Kernels<double> in_double;
};

extern const KernelSet kernels_default;
#ifdef __x86_64__
extern const KernelSet kernels_avx2, kernels_avx512;
#endif

} // namespace tandem

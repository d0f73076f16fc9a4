#include "batch_norm.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <ATen/TensorIterator.h>
#include <ATen/Version.h>

namespace tandem {
namespace {

// Elements of a part: few enough to stay in a core's cache, many enough that its sums are cheap to add.
constexpr int64_t kPart = 16384;
constexpr int64_t kPartRows = 64;
constexpr int64_t kBlock = 8; // rows that kernels read side by side

// Bytes of an output from which on it is streamed.
constexpr int64_t kStream = 8 * int64_t{1024} * 1024;

const KernelSet& kernel_set() {
  static const KernelSet& chosen = []() -> const KernelSet& {
#ifdef __x86_64__
    // As libtorch chose for its own kernels; ATEN_CPU_CAPABILITY lowers both.
    const auto capability = at::get_cpu_capability();
    if (capability == "AVX512") {
      return kernels_avx512;
    }
    if (capability == "AVX2") {
      return kernels_avx2;
    }
#endif
    return kernels_default;
  }();
  return chosen;
}

// Calls body(0) to body(count - 1), each once, on libtorch's threads. By the one of libtorch's parallel loops that is compiled
// into it: at::parallel_for is a template that is serial unless it is compiled for the same OpenMP.
void parallel(int64_t count, c10::function_ref<void(int64_t)> body) {
  const auto places = at::empty({count}, at::kByte);
  const auto* first = static_cast<const char*>(places.const_data_ptr());
  auto each = at::TensorIteratorConfig().add_const_input(places).check_all_same_dtype(false).build();
  each.for_each(
      [&](char** data, const int64_t* strides, int64_t columns, int64_t rows) {
        for (int64_t row = 0; row < rows; ++row) {
          const int64_t begin = data[0] + row * strides[1] - first;
          for (int64_t i = begin; i < begin + columns; ++i) {
            body(i);
          }
        }
      },
      /*grain_size=*/1);
}

} // namespace

ByChannel by_channel(const at::Tensor& values) {
  const auto wide = values.detach().to(at::kDouble).contiguous();
  const auto* first = wide.const_data_ptr<double>();
  return ByChannel(first, first + wide.numel());
}

at::Tensor tensor_of(const ByChannel& values, const at::Tensor& like) {
  return at::tensor(values, at::kDouble).to(like.scalar_type());
}

Cut::Cut(const at::Tensor& x) : channels(x.size(1)), elements(x.numel()), width(std::lcm(x.size(1), kColumns)) {
  const int64_t rows = std::max(kPart / width, kPartRows);
  part = (rows + kBlock - 1) / kBlock * kBlock * width;
}

template <>
const Kernels<float>& kernels() {
  return kernel_set().in_float;
}

template <>
const Kernels<double>& kernels() {
  return kernel_set().in_double;
}

template <typename T>
Operands<T> operands(const Cut& cut) {
  Operands<T> of{};
  of.width = cut.width;
  of.stream = cut.elements * static_cast<int64_t>(sizeof(T)) >= kStream;
  return of;
}

template <typename T>
void run(Kernel<T> kernel, const Operands<T>& of, const Cut& cut) {
  parallel(
      cut.parts(), [&](int64_t i) { kernel(of, i * cut.part, std::min(cut.elements, (i + 1) * cut.part), nullptr); });
}

template <typename T>
std::vector<ByChannel> run_sums(Kernel<T> kernel, const Operands<T>& of, const Cut& cut, int count) {
  const int64_t length = count * cut.width;
  const auto memory = at::empty({cut.parts(), length}, at::kDouble);
  auto* sums = memory.mutable_data_ptr<double>();
  parallel(cut.parts(), [&](int64_t i) {
    kernel(of, i * cut.part, std::min(cut.elements, (i + 1) * cut.part), sums + i * length);
  });
  std::vector<ByChannel> total(count, ByChannel(cut.channels, 0.0));
  for (int64_t i = 0; i < cut.parts(); ++i) {
    for (int k = 0; k < count; ++k) {
      for (int64_t repeat = 0; repeat < cut.width; repeat += cut.channels, sums += cut.channels) {
        for (int64_t channel = 0; channel < cut.channels; ++channel) {
          total[k][channel] += sums[channel];
        }
      }
    }
  }
  return total;
}

#define TANDEM_FOR(T)                                           \
  template Operands<T> operands(const Cut&);                    \
  template void run(Kernel<T>, const Operands<T>&, const Cut&); \
  template std::vector<ByChannel> run_sums(Kernel<T>, const Operands<T>&, const Cut&, int);
TANDEM_FOR(float)
TANDEM_FOR(double)
#undef TANDEM_FOR

Statistics::Statistics(
    const std::vector<ByChannel>& sums,
    const Cut& cut,
    double epsilon,
    double momentum,
    const at::Tensor& running_mean,
    const at::Tensor& running_variance)
    : mean(cut.channels), inverse(cut.channels) {
  const double rows = cut.rows();
  ByChannel unbiased(cut.channels);
  for (int64_t c = 0; c < cut.channels; ++c) {
    mean[c] = sums[Sums::kX][c] / rows;
    const double squares = std::max(sums[Sums::kXX][c] - rows * mean[c] * mean[c], 0.0);
    // max() hides what is not a number; a step that made one must not look sound.
    const double variance = (std::isnan(sums[Sums::kXX][c]) ? sums[Sums::kXX][c] : squares) / rows;
    inverse[c] = 1.0 / std::sqrt(variance + epsilon);
    unbiased[c] = variance * rows / (rows - 1.0);
  }
  // Without a new version, as in libtorch: its own BatchNorm keeps running statistics for a backward pass that reads none.
  running_mean.variable_data().lerp_(tensor_of(mean, running_mean), momentum);
  running_variance.variable_data().lerp_(tensor_of(unbiased, running_variance), momentum);
}

Statistics::Statistics(const at::Tensor& both) : mean(by_channel(both[0])), inverse(by_channel(both[1])) {}

at::Tensor Statistics::tensor() const {
  return at::stack({at::tensor(mean, at::kDouble), at::tensor(inverse, at::kDouble)});
}

Affine::Affine(const Statistics& statistics, const at::Tensor& scale, const at::Tensor& shift)
    : s(by_channel(scale)), b(by_channel(shift)) {
  for (size_t c = 0; c < s.size(); ++c) {
    s[c] *= statistics.inverse[c];
    b[c] -= s[c] * statistics.mean[c];
  }
}

} // namespace tandem

// What BatchNorm's fused functions share: how a tensor is cut into parts, the kernels for this processor, sums by channel.
#pragma once

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>

#include "kernels/kernels.hpp"

namespace tandem {

// What follows BatchNorm in the same pass. Mirrored in src/ffi/libtorch.rs.
enum class Then : int64_t { Nothing = 0, Relu = 1, AddRelu = 2 };

inline Sign sign(Then then) {
  return static_cast<Sign>(then);
}

// Numbers by channel.
using ByChannel = std::vector<double>;

ByChannel by_channel(const at::Tensor& values);
at::Tensor tensor_of(const ByChannel& values, const at::Tensor& like);

// A tensor as rows of `width` elements (kernels/kernels.hpp), cut into parts of whole rows. Parts depend on the tensor's size and
// on nothing else: their sums are added in order, so that the bits are the same on any number of threads.
struct Cut {
  explicit Cut(const at::Tensor& x);

  int64_t channels, elements, width, part;

  double rows() const {
    const int64_t whole = elements / channels;
    return static_cast<double>(whole);
  }
  int64_t parts() const { return (elements + part - 1) / part; }
};

template <typename T>
const Kernels<T>& kernels();

// Operands without tensors. Outputs that no cache could hold until they are read are streamed.
template <typename T>
Operands<T> operands(const Cut& cut);

template <typename T>
const T* data(const at::Tensor& tensor) {
  return tensor.const_data_ptr<T>();
}

// Runs a kernel over all parts, on libtorch's threads.
template <typename T>
void run(Kernel<T> kernel, const Operands<T>& of, const Cut& cut);

// As `run`, and returns the kernel's first `count` sums, by channel.
template <typename T>
std::vector<ByChannel> run_sums(Kernel<T> kernel, const Operands<T>& of, const Cut& cut, int count);

// A batch's mean and 1/sqrt(variance + epsilon).
struct Statistics {
  ByChannel mean, inverse;

  // From Sums::kX and kXX. Moves the running statistics, as libtorch does.
  Statistics(
      const std::vector<ByChannel>& sums,
      const Cut& cut,
      double epsilon,
      double momentum,
      const at::Tensor& running_mean,
      const at::Tensor& running_variance);
  // As `tensor` gave it.
  explicit Statistics(const at::Tensor& both);

  at::Tensor tensor() const;
};

// What BatchNorm multiplies with and adds.
struct Affine {
  ByChannel s, b;

  Affine(const Statistics& statistics, const at::Tensor& scale, const at::Tensor& shift);
};

// Rows of Columns.
template <typename T>
class ColumnTable {
 public:
  ColumnTable(const Cut& cut, const Statistics& statistics, const Affine& affine)
      : width_(cut.width), values_(Columns::kCount * cut.width) {
    set(Columns::kScale, affine.s);
    set(Columns::kShift, affine.b);
    set(Columns::kMean, statistics.mean);
  }

  void set(int row, const ByChannel& values) {
    for (int64_t first = row * width_, k = 0; k < width_; k += static_cast<int64_t>(values.size())) {
      std::copy(values.begin(), values.end(), values_.begin() + first + k);
    }
  }
  const T* data() const { return values_.data(); }

 private:
  int64_t width_;
  std::vector<T> values_;
};

} // namespace tandem

// A convolution without bias whose weight's gradient is one matrix product where that is faster.
//
// oneDNN walks over the images for the weight's gradient. On small maps a row of an image is too short for that: at 4x4 pixels
// it reaches a third of the speed of a matrix product. There the patches under the kernel are laid side by side (im2col), a few
// images at a time so that they stay in the cache, and dW = dYᵀ patches. Everything else is libtorch's.
#include <algorithm>
#include <tuple>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "autograd.hpp"
#include "status.hpp"

namespace tandem {
namespace {

// Pixels of an output map up to which the matrix product is the faster one, and bytes of patches at a time.
constexpr int64_t kSmallMap = 64;
constexpr int64_t kPatchBytes = int64_t{16} * 1024 * 1024;

// x [N, C, H, W] under a kernel; both are channels-last in memory.
struct Geometry {
  Geometry(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& y, int64_t stride, int64_t padding)
      : channels(x.size(1)),
        height(x.size(2)),
        width(x.size(3)),
        kernel(weight.size(2)),
        stride(stride),
        padding(padding),
        out_height(y.size(2)),
        out_width(y.size(3)) {}

  int64_t map() const { return out_height * out_width; }
  int64_t patch() const { return kernel * kernel * channels; }

  int64_t channels, height, width, kernel, stride, padding, out_height, out_width;
};

// Writes the patches [images * map, patch] of `images` images.
template <typename T>
void lay_patches(const T* x, int64_t images, const Geometry& of, T* patches) {
  const int64_t run = of.kernel * of.channels;
  at::parallel_for(0, images * of.map(), /*grain_size=*/64, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const int64_t image = row / of.map(), top = row % of.map() / of.out_width * of.stride - of.padding;
      const int64_t left = row % of.out_width * of.stride - of.padding;
      // The columns of the kernel that lie inside the image are side by side in memory.
      const int64_t begin = std::max<int64_t>(0, -left), end = std::min(of.kernel, of.width - left);
      for (int64_t k = 0; k < of.kernel; ++k) {
        T* to = patches + row * of.patch() + k * run;
        const int64_t y = top + k;
        if (y < 0 || y >= of.height || begin >= end) {
          std::fill(to, to + run, T{0});
          continue;
        }
        const T* from = x + ((image * of.height + y) * of.width + left + begin) * of.channels;
        std::fill(to, to + begin * of.channels, T{0});
        std::copy(from, from + (end - begin) * of.channels, to + begin * of.channels);
        std::fill(to + end * of.channels, to + run, T{0});
      }
    }
  });
}

template <typename T>
at::Tensor weight_gradient(const at::Tensor& by_y, const at::Tensor& x, const at::Tensor& weight, const Geometry& of) {
  const int64_t images = x.size(0), outputs = weight.size(0);
  const int64_t image_bytes = of.map() * of.patch() * static_cast<int64_t>(sizeof(T));
  const int64_t chunk = std::clamp<int64_t>(kPatchBytes / image_bytes, 1, images);
  auto found = at::empty({outputs, of.patch()}, x.options());
  auto patches = at::empty({chunk * of.map(), of.patch()}, x.options());
  const auto rows = by_y.permute({0, 2, 3, 1}).view({images * of.map(), outputs});
  const T* data = x.template const_data_ptr<T>();
  for (int64_t first = 0; first < images; first += chunk) {
    const int64_t count = std::min(chunk, images - first);
    lay_patches(data + first * of.height * of.width * of.channels, count, of, patches.template mutable_data_ptr<T>());
    const auto part = rows.narrow(0, first * of.map(), count * of.map());
    at::addmm_out(
        found,
        found,
        part.t(),
        patches.narrow(0, 0, count * of.map()),
        /*beta=*/first == 0 ? 0 : 1,
        /*alpha=*/1);
  }
  return found.view({outputs, of.kernel, of.kernel, of.channels}).permute({0, 3, 1, 2});
}

constexpr const char* kStride = "stride";
constexpr const char* kPadding = "padding";

struct Convolution : Function<Convolution> {
  static Variable forward(
      AutogradContext* context, const Variable& x, const Variable& weight, int64_t stride, int64_t padding) {
    context->save_for_backward({x, weight});
    context->saved_data[kStride] = stride;
    context->saved_data[kPadding] = padding;
    return at::conv2d(x, weight, {}, {stride, stride}, {padding, padding});
  }

  static variable_list backward(AutogradContext* context, variable_list by_output) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    const int64_t stride = context->saved_data[kStride].toInt(), padding = context->saved_data[kPadding].toInt();
    const bool by_x = context->needs_input_grad(0), by_weight = context->needs_input_grad(1);
    const auto& by_y = by_output[0];
    const Geometry geometry(x, weight, by_y, stride, padding);
    // Where a derivative of this one is wanted, libtorch's function, which has one.
    const bool ours = by_weight && geometry.map() <= kSmallMap && !at::GradMode::is_enabled();
    const auto found = at::convolution_backward(
        by_y,
        x,
        weight,
        /*bias_sizes=*/at::OptionalIntArrayRef(),
        {stride, stride},
        {padding, padding},
        /*dilation=*/{1, 1},
        /*transposed=*/false,
        /*output_padding=*/{0, 0},
        /*groups=*/1,
        {by_x, by_weight && !ours, false});
    auto by_weights = std::get<1>(found);
    if (ours) {
      AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "a convolution's gradient", [&] {
        by_weights = weight_gradient<scalar_t>(channels_last(by_y), channels_last(x), weight, geometry);
      });
    }
    return {std::get<0>(found), by_weights, Variable(), Variable()};
  }
};

} // namespace
} // namespace tandem

// x [N, C, H, W] under a square kernel [O, C, K, K] in main memory, in float or double. Has derivatives of first and second
// order.
extern "C" int32_t tandem_convolution(
    const at::Tensor* x, const at::Tensor* weight, int64_t stride, int64_t padding, at::Tensor** y, char** message) {
  return tandem::guard(message, [&] { *y = new at::Tensor(tandem::Convolution::apply(*x, *weight, stride, padding)); });
}

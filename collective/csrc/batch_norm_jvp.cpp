// By channel, over the n elements of each: mean m, i = 1/sqrt(variance + epsilon), h = i (x - m), s = scale i, E the mean.
//
//   y  = scale h + shift
//   y' = s (t - E t - h E(h t)),    its derivative along t
//
// The matrix from t to y' is symmetric, so that BatchNorm's own backward pass applies it: its fused kernels give y' and, as
// the derivatives by scale and shift, n E(h t) and n E t. With a and b the derivatives of the loss by y and by y':
//
//   dt     = s (b - E b - h E(h b))
//   dx     = [BatchNorm's own for a] - i E(h t) dt - i E(h b) y' - scale A i^2 h
//   dscale = n (E(h a) + i A),  dshift = n E a,    A = E(b t) - E t E b - E(h t) E(h b)
//
// Autograd's double backward of BatchNorm does the same in some twenty passes over memory.
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "autograd.hpp"
#include "status.hpp"

namespace tandem {
namespace {

// BatchNorm's vector-Jacobian product with a cotangent c: by x it is s (c - E c - h E(h c)); `projection` is E(h c), `mean`
// is E c.
struct Vjp {
  at::Tensor by_input, projection, mean;
};

Vjp vjp(
    const at::Tensor& cotangent,
    const at::Tensor& x,
    const at::Tensor& scale,
    const at::Tensor& mean,
    const at::Tensor& inverse,
    double epsilon) {
  const int64_t rows = x.numel() / x.size(1);
  const auto count = static_cast<double>(rows);
  auto [by_input, by_scale, by_shift] = at::native_batch_norm_backward(
      cotangent, x, scale, {}, {}, mean, inverse, /*train=*/true, epsilon, {true, true, true});
  return {std::move(by_input), by_scale / count, by_shift / count};
}

struct BatchNormJvp : public Function<BatchNormJvp> {
  static variable_list forward(
      AutogradContext* context,
      const Variable& x,
      const Variable& t,
      const Variable& scale,
      const Variable& shift,
      const Variable& running_mean,
      const Variable& running_variance,
      double momentum,
      double epsilon) {
    auto [y, mean, inverse] =
        at::native_batch_norm(x, scale, shift, running_mean, running_variance, /*training=*/true, momentum, epsilon);
    auto tangent = vjp(t, x, scale, mean, inverse, epsilon);
    context->save_for_backward({x, t, scale, mean, inverse, tangent.projection, tangent.mean});
    context->saved_data["epsilon"] = epsilon;
    return {y, tangent.by_input};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &t = saved[1], &scale = saved[2], &mean = saved[3], &inverse = saved[4];
    const auto &t_projection = saved[5], &t_mean = saved[6];
    const double epsilon = context->saved_data["epsilon"].toDouble();
    const int64_t rows = x.numel() / x.size(1);
    const auto count = static_cast<double>(rows);

    auto a = vjp(gradients[0], x, scale, mean, inverse, epsilon);
    auto b = vjp(gradients[1], x, scale, mean, inverse, epsilon);
    std::vector<int64_t> all_but_channel{0}, wide(static_cast<size_t>(x.dim()), 1);
    for (int64_t dim = 2; dim < x.dim(); ++dim) {
      all_but_channel.push_back(dim);
    }
    wide[1] = x.size(1);
    const auto each = [&](const at::Tensor& by_channel) { return by_channel.view(wide).to(x.scalar_type()); };
    const auto product = (gradients[1] * t).mean(all_but_channel, /*keepdim=*/false, inverse.scalar_type());
    const auto slope = product - t_mean * b.mean - t_projection * b.projection;

    // y' = s (t - E t - h E(h t)) is split up: only t and x differ by pixel, the rest is per channel.
    const auto by_t = -inverse * inverse * scale * b.projection;
    const auto by_x = (-by_t * t_projection - scale * slope * inverse * inverse) * inverse;
    const auto constant = -by_t * t_mean - by_x * mean;
    auto by_input = a.by_input;
    by_input.addcmul_(b.by_input, each(-inverse * t_projection));
    by_input.addcmul_(t, each(by_t));
    by_input.addcmul_(x, each(by_x));
    by_input.add_(each(constant));
    return {
        by_input,
        b.by_input,
        (a.projection + inverse * slope) * count,
        a.mean * count,
        Variable(),
        Variable(),
        Variable(),
        Variable()};
  }
};

} // namespace
} // namespace tandem

// BatchNorm of x [N, C, ...] by its own statistics, and the Jacobian-vector product with t, shaped as x. Both outputs have
// first derivatives by x, t, scale and shift. Updates the running statistics.
extern "C" int32_t tandem_batch_norm_jvp(
    const at::Tensor* x,
    const at::Tensor* t,
    const at::Tensor* scale,
    const at::Tensor* shift,
    const at::Tensor* running_mean,
    const at::Tensor* running_variance,
    double momentum,
    double epsilon,
    at::Tensor** y,
    at::Tensor** y_tangent,
    char** message) {
  return tandem::guard(message, [&] {
    auto both =
        tandem::BatchNormJvp::apply(*x, *t, *scale, *shift, *running_mean, *running_variance, momentum, epsilon);
    *y = new at::Tensor(std::move(both[0]));
    *y_tangent = new at::Tensor(std::move(both[1]));
  });
}

// BatchNorm by the batch's own statistics, with what follows it in the same pass: nothing, ReLU, or the addition of a residual
// and ReLU. With the names of kernels/kernels.hpp, and E the mean over a channel:
//
//   y  = relu(s x + b + residual),  a = dL/dy where relu let pass
//   dx = s (a - E a - h E(h a)),    h = i (x - m)
//   dscale = n E(h a),  dshift = n E a,  dresidual = a
//
// Forward: one pass for the sums, one for y. Backward: the same. Autograd's own functions make five and five, or more. Only x is
// kept for the backward pass, and y if there is a residual; the convolution behind keeps that anyway.
#include <ATen/core/grad_mode.h>

#include "autograd.hpp"
#include "batch_norm.hpp"
#include "status.hpp"

namespace tandem {
namespace {

struct Inputs {
  at::Tensor x, residual, scale, shift;
  Then then;
};

template <typename T>
at::Tensor value(const Inputs& in, const Statistics& statistics, const Cut& cut) {
  const ColumnTable<T> columns(cut, statistics, Affine(statistics, in.scale, in.shift));
  auto y = at::empty_like(in.x);
  auto of = operands<T>(cut);
  of.columns = columns.data();
  of.x = data<T>(in.x);
  of.residual = in.then == Then::AddRelu ? data<T>(in.residual) : nullptr;
  of.out = y.template mutable_data_ptr<T>();
  run(kernels<T>().forward[false][static_cast<int>(in.then)], of, cut);
  return y;
}

struct Gradients {
  at::Tensor by_x, by_residual, by_scale, by_shift;
};

template <typename T>
Gradients gradients(const at::Tensor& by_y, const at::Tensor& y, const Inputs& in, const Statistics& statistics) {
  const Cut cut(in.x);
  const Affine affine(statistics, in.scale, in.shift);
  ColumnTable<T> columns(cut, statistics, affine);
  auto of = operands<T>(cut);
  of.columns = columns.data();
  of.x = data<T>(in.x);
  of.a = data<T>(by_y);
  Gradients found;
  Sign open = sign(in.then);
  if (open == Sign::Output) {
    found.by_residual = at::empty_like(in.x);
    of.y = data<T>(y);
    of.out = found.by_residual.template mutable_data_ptr<T>();
  }
  const auto sums = run_sums(kernels<T>().gradient_moments[false][static_cast<int>(open)], of, cut, 2);
  if (open == Sign::Output) {
    of.a = data<T>(found.by_residual);
    open = Sign::None;
  }

  ByChannel by_scale(cut.channels), by_x(cut.channels), constant(cut.channels);
  for (int64_t c = 0; c < cut.channels; ++c) {
    by_scale[c] = statistics.inverse[c] * (sums[Sums::kAX][c] - statistics.mean[c] * sums[Sums::kA][c]);
    by_x[c] = -affine.s[c] * statistics.inverse[c] * by_scale[c] / cut.rows();
    constant[c] = -affine.s[c] * sums[Sums::kA][c] / cut.rows();
  }
  columns.set(Columns::kByX, by_x);
  columns.set(Columns::kByConstant, constant);
  found.by_x = at::empty_like(in.x);
  of.out = found.by_x.template mutable_data_ptr<T>();
  run(kernels<T>().backward[false][static_cast<int>(open)], of, cut);
  found.by_scale = tensor_of(by_scale, in.scale);
  found.by_shift = tensor_of(sums[Sums::kA], in.shift);
  return found;
}

// The same by libtorch's operations, which have derivatives of their own.
template <typename T>
Gradients differentiable(
    const at::Tensor& by_y, const at::Tensor& y, const Inputs& in, const Statistics& statistics, double epsilon) {
  auto a = by_y;
  if (in.then != Then::Nothing) {
    const at::NoGradGuard no_grad;
    const auto passed = in.then == Then::AddRelu ? y : value<T>(in, statistics, Cut(in.x));
    const at::AutoGradMode grad(true);
    a = a.masked_fill(passed.detach() <= 0, 0);
  }
  const auto both = statistics.tensor().to(in.x.scalar_type());
  auto [by_x, by_scale, by_shift] = at::native_batch_norm_backward(
      a, in.x, in.scale, {}, {}, both[0], both[1], /*train=*/true, epsilon, {true, true, true});
  return {by_x, in.then == Then::AddRelu ? a : at::Tensor(), by_scale, by_shift};
}

constexpr const char* kThen = "then";
constexpr const char* kEpsilon = "epsilon";

struct BatchNormRelu : Function<BatchNormRelu> {
  static Variable forward(
      AutogradContext* context,
      const Variable& x,
      const Variable& residual,
      const Variable& scale,
      const Variable& shift,
      const Variable& running_mean,
      const Variable& running_variance,
      double momentum,
      double epsilon,
      int64_t then) {
    const Inputs in{x, residual, scale, shift, Then{then}};
    at::Tensor y, both;
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "BatchNorm with ReLU", [&] {
      const Cut cut(x);
      auto of = operands<scalar_t>(cut);
      of.x = data<scalar_t>(x);
      const auto sums = run_sums(kernels<scalar_t>().moments[false], of, cut, 2);
      const Statistics statistics(sums, cut, epsilon, momentum, running_mean, running_variance);
      y = value<scalar_t>(in, statistics, cut);
      both = statistics.tensor();
    });
    context->save_for_backward({x, in.then == Then::AddRelu ? y : at::Tensor(), scale, shift, both});
    context->saved_data[kThen] = then;
    context->saved_data[kEpsilon] = epsilon;
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list by_output) {
    const auto saved = context->get_saved_variables();
    const Inputs in{saved[0], {}, saved[2], saved[3], Then{context->saved_data[kThen].toInt()}};
    const Statistics statistics(saved[4]);
    const double epsilon = context->saved_data[kEpsilon].toDouble();
    Gradients found;
    AT_DISPATCH_FLOATING_TYPES(in.x.scalar_type(), "BatchNorm with ReLU", [&] {
      found = at::GradMode::is_enabled() ? differentiable<scalar_t>(by_output[0], saved[1], in, statistics, epsilon)
                                         : gradients<scalar_t>(channels_last(by_output[0]), saved[1], in, statistics);
    });
    return {
        found.by_x,
        found.by_residual,
        found.by_scale,
        found.by_shift,
        Variable(),
        Variable(),
        Variable(),
        Variable(),
        Variable()};
  }
};

} // namespace
} // namespace tandem

// BatchNorm of x [N, C] or [N, C, H, W] in main memory, in float or double, by its own statistics, and what `then` says. The
// residual, null without one, is shaped as x. Updates the running statistics. Has derivatives of first and second order.
extern "C" int32_t tandem_batch_norm_relu(
    const at::Tensor* x,
    const at::Tensor* residual,
    const at::Tensor* scale,
    const at::Tensor* shift,
    const at::Tensor* running_mean,
    const at::Tensor* running_variance,
    double momentum,
    double epsilon,
    int64_t then,
    at::Tensor** y,
    char** message) {
  return tandem::guard(message, [&] {
    const auto own = [](const at::Tensor& tensor) { return tandem::channels_last(tensor); };
    *y = new at::Tensor(
        tandem::BatchNormRelu::apply(
            own(*x),
            // Autograd takes no undefined tensor.
            residual == nullptr ? at::empty({0}, x->options()) : own(*residual),
            *scale,
            *shift,
            *running_mean,
            *running_variance,
            momentum,
            epsilon,
            then));
  });
}

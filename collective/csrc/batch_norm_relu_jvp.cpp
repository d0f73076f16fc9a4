// As batch_norm_relu.cpp, with a tangent: y, and its derivative y' along the tangent t of x. With the names of
// kernels/kernels.hpp, a and b the derivatives of the loss by y and by y' where relu let pass, and the formulas of
// batch_norm_jvp.cpp, p = E(h t), A = E(b t) - E t E b - p E(h b):
//
//   y' = s (t - E t - h p) (+ the residual's tangent), where relu let pass
//   dt = s (b - E b - h E(h b))
//   dx = s (a - E a - h E(h a)) - i p dt - i E(h b) s (t - E t - h p) - s A i h
//   dscale = n (E(h a) + i A),  dshift = n E a
//
// One pass for the sums and one for the results, forward and backward.
#include <ATen/core/grad_mode.h>

#include "autograd.hpp"
#include "batch_norm.hpp"
#include "status.hpp"

namespace tandem {
namespace {

struct Inputs {
  at::Tensor x, t, residual, residual_tangent, scale, shift;
  Then then;
};

// Of t, by channel: E t and p.
struct TangentStatistics {
  ByChannel mean, projection;

  TangentStatistics(const std::vector<ByChannel>& sums, const Cut& cut, const Statistics& of_x)
      : mean(cut.channels), projection(cut.channels) {
    for (int64_t c = 0; c < cut.channels; ++c) {
      mean[c] = sums[Sums::kT][c] / cut.rows();
      projection[c] = of_x.inverse[c] * (sums[Sums::kXT][c] / cut.rows() - of_x.mean[c] * mean[c]);
    }
  }
  explicit TangentStatistics(const at::Tensor& both) : mean(by_channel(both[0])), projection(by_channel(both[1])) {}

  at::Tensor tensor() const { return at::stack({at::tensor(mean, at::kDouble), at::tensor(projection, at::kDouble)}); }
};

struct Dual {
  at::Tensor y, tangent;
};

template <typename T>
Dual values(const Inputs& in, const Statistics& statistics, const TangentStatistics& of_t, const Cut& cut) {
  const Affine affine(statistics, in.scale, in.shift);
  ColumnTable<T> columns(cut, statistics, affine);
  ByChannel by_x(cut.channels), constant(cut.channels);
  for (int64_t c = 0; c < cut.channels; ++c) {
    by_x[c] = -affine.s[c] * statistics.inverse[c] * of_t.projection[c];
    constant[c] = -affine.s[c] * of_t.mean[c];
  }
  columns.set(Columns::kTangentByX, by_x);
  columns.set(Columns::kTangentShift, constant);
  Dual out{at::empty_like(in.x), at::empty_like(in.x)};
  auto of = operands<T>(cut);
  of.columns = columns.data();
  of.x = data<T>(in.x);
  of.t = data<T>(in.t);
  if (in.then == Then::AddRelu) {
    of.residual = data<T>(in.residual);
    of.residual_tangent = data<T>(in.residual_tangent);
  }
  of.out = out.y.template mutable_data_ptr<T>();
  of.out_tangent = out.tangent.template mutable_data_ptr<T>();
  run(kernels<T>().forward[true][static_cast<int>(in.then)], of, cut);
  return out;
}

struct Gradients {
  Dual by_x, by_residual;
  at::Tensor by_scale, by_shift;
};

// Sets what multiplies what in the derivatives by x and t; returns the derivative by the scale.
template <typename T>
ByChannel set_backward(
    ColumnTable<T>& columns,
    const std::vector<ByChannel>& sums,
    const Cut& cut,
    const Statistics& statistics,
    const TangentStatistics& of_t,
    const Affine& affine) {
  const double n = cut.rows();
  ByChannel by_x(cut.channels), constant(cut.channels), by_b(cut.channels), by_t(cut.channels);
  ByChannel tangent_by_x(cut.channels), tangent_constant(cut.channels), by_scale(cut.channels);
  for (int64_t c = 0; c < cut.channels; ++c) {
    const double i = statistics.inverse[c], s = affine.s[c], m = statistics.mean[c];
    const double t_mean = of_t.mean[c], p = of_t.projection[c];
    const double a_mean = sums[Sums::kA][c] / n, a_projection = i * (sums[Sums::kAX][c] / n - m * a_mean);
    const double b_mean = sums[Sums::kB][c] / n, b_projection = i * (sums[Sums::kBX][c] / n - m * b_mean);
    const double slope = sums[Sums::kBT][c] / n - t_mean * b_mean - p * b_projection;
    tangent_by_x[c] = -s * i * b_projection;
    tangent_constant[c] = -s * b_mean;
    by_b[c] = -s * i * p;
    by_t[c] = -s * i * b_projection;
    by_x[c] = -s * i * (a_projection + i * (slope - 2.0 * p * b_projection));
    constant[c] = -s * (a_mean - i * (p * b_mean + b_projection * t_mean));
    by_scale[c] = n * (a_projection + i * slope);
  }
  columns.set(Columns::kTangentByX, tangent_by_x);
  columns.set(Columns::kTangentShift, tangent_constant);
  columns.set(Columns::kByTangentGradient, by_b);
  columns.set(Columns::kByTangent, by_t);
  columns.set(Columns::kByX, by_x);
  columns.set(Columns::kByConstant, constant);
  return by_scale;
}

template <typename T>
Gradients gradients(
    const Dual& by_output,
    const at::Tensor& y,
    const Inputs& in,
    const Statistics& statistics,
    const TangentStatistics& of_t) {
  const Cut cut(in.x);
  const Affine affine(statistics, in.scale, in.shift);
  ColumnTable<T> columns(cut, statistics, affine);
  auto of = operands<T>(cut);
  of.columns = columns.data();
  of.x = data<T>(in.x);
  of.t = data<T>(in.t);
  of.a = data<T>(by_output.y);
  of.b = data<T>(by_output.tangent);
  Gradients found;
  Sign open = sign(in.then);
  if (open == Sign::Output) {
    found.by_residual = {at::empty_like(in.x), at::empty_like(in.x)};
    of.y = data<T>(y);
    of.out = found.by_residual.y.template mutable_data_ptr<T>();
    of.out_tangent = found.by_residual.tangent.template mutable_data_ptr<T>();
  }
  const auto sums = run_sums(kernels<T>().gradient_moments[true][static_cast<int>(open)], of, cut, 5);
  if (open == Sign::Output) {
    of.a = data<T>(found.by_residual.y);
    of.b = data<T>(found.by_residual.tangent);
    open = Sign::None;
  }
  found.by_scale = tensor_of(set_backward(columns, sums, cut, statistics, of_t, affine), in.scale);
  found.by_shift = tensor_of(sums[Sums::kA], in.shift);
  found.by_x = {at::empty_like(in.x), at::empty_like(in.x)};
  of.out = found.by_x.y.template mutable_data_ptr<T>();
  of.out_tangent = found.by_x.tangent.template mutable_data_ptr<T>();
  run(kernels<T>().backward[true][static_cast<int>(open)], of, cut);
  return found;
}

constexpr const char* kThen = "then";

struct BatchNormReluJvp : Function<BatchNormReluJvp> {
  static variable_list forward(
      AutogradContext* context,
      const Variable& x,
      const Variable& t,
      const Variable& residual,
      const Variable& residual_tangent,
      const Variable& scale,
      const Variable& shift,
      const Variable& running_mean,
      const Variable& running_variance,
      double momentum,
      double epsilon,
      int64_t then) {
    const Inputs in{x, t, residual, residual_tangent, scale, shift, Then{then}};
    Dual out;
    at::Tensor of_x, of_t;
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "BatchNorm with ReLU and a tangent", [&] {
      const Cut cut(x);
      auto of = operands<scalar_t>(cut);
      of.x = data<scalar_t>(x);
      of.t = data<scalar_t>(t);
      const auto sums = run_sums(kernels<scalar_t>().moments[true], of, cut, 4);
      const Statistics statistics(sums, cut, epsilon, momentum, running_mean, running_variance);
      const TangentStatistics tangent(sums, cut, statistics);
      out = values<scalar_t>(in, statistics, tangent, cut);
      of_x = statistics.tensor();
      of_t = tangent.tensor();
    });
    context->save_for_backward({x, t, in.then == Then::AddRelu ? out.y : at::Tensor(), scale, shift, of_x, of_t});
    context->saved_data[kThen] = then;
    return {out.y, out.tangent};
  }

  static variable_list backward(AutogradContext* context, variable_list by_output) {
    TORCH_CHECK(
        !at::GradMode::is_enabled(),
        "BatchNorm with a tangent has first derivatives only: differentiate its result with create_graph = false, "
        "or take BatchNorm without a tangent, which can be differentiated twice");
    const auto saved = context->get_saved_variables();
    const Then then{context->saved_data[kThen].toInt()};
    const Inputs in{saved[0], saved[1], {}, {}, saved[3], saved[4], then};
    const Dual by{channels_last(by_output[0]), channels_last(by_output[1])};
    Gradients found;
    AT_DISPATCH_FLOATING_TYPES(in.x.scalar_type(), "BatchNorm with ReLU and a tangent", [&] {
      found = gradients<scalar_t>(by, saved[2], in, Statistics(saved[5]), TangentStatistics(saved[6]));
    });
    return {
        found.by_x.y,
        found.by_x.tangent,
        found.by_residual.y,
        found.by_residual.tangent,
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

// As tandem_batch_norm_relu, and the derivative of y along t, shaped as x; the residual has a tangent too. Both outputs have first
// derivatives.
extern "C" int32_t tandem_batch_norm_relu_jvp(
    const at::Tensor* x,
    const at::Tensor* t,
    const at::Tensor* residual,
    const at::Tensor* residual_tangent,
    const at::Tensor* scale,
    const at::Tensor* shift,
    const at::Tensor* running_mean,
    const at::Tensor* running_variance,
    double momentum,
    double epsilon,
    int64_t then,
    at::Tensor** y,
    at::Tensor** y_tangent,
    char** message) {
  return tandem::guard(message, [&] {
    // Autograd takes no undefined tensor.
    const auto none = at::empty({0}, x->options());
    const auto own = [&](const at::Tensor* tensor) {
      return tensor == nullptr ? none : tandem::channels_last(*tensor);
    };
    auto both = tandem::BatchNormReluJvp::apply(
        own(x),
        own(t),
        own(residual),
        own(residual_tangent),
        *scale,
        *shift,
        *running_mean,
        *running_variance,
        momentum,
        epsilon,
        then);
    *y = new at::Tensor(std::move(both[0]));
    *y_tangent = new at::Tensor(std::move(both[1]));
  });
}

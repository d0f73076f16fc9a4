// The differentiable all-gather. With z_r the rows of rank r and Z = (z_1, .., z_w) what every rank then holds, a loss
// that is the sum over ranks of l_r(Z) has dL/dz_r = sum over ranks of (dl_s/dZ)_r: the adjoint of an all-gather is a
// reduce-scatter, and the adjoint of that is an all-gather. Each is an autograd function that calls the other, so
// derivatives of every order exist (the input-gradient penalty needs the second).
#include <torch/csrc/autograd/custom_function.h>

#include "group.hpp"
#include "status.hpp"

namespace tandem {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::Variable;
using torch::autograd::variable_list;

const char* const kChannel = "channel";

void remember(AutogradContext* context, const c10::intrusive_ptr<Channel>& channel) {
  context->saved_data[kChannel] = c10::IValue::make_capsule(channel);
}

c10::intrusive_ptr<Channel> recall(AutogradContext* context) {
  return c10::static_intrusive_pointer_cast<Channel>(context->saved_data[kChannel].toCapsule());
}

struct AllGather : public Function<AllGather> {
  static Variable forward(AutogradContext* context, const Variable& rows, const c10::intrusive_ptr<Channel>& channel);
  static variable_list backward(AutogradContext* context, variable_list gradients);
};

struct ReduceScatter : public Function<ReduceScatter> {
  static Variable forward(AutogradContext* context, const Variable& all, const c10::intrusive_ptr<Channel>& channel);
  static variable_list backward(AutogradContext* context, variable_list gradients);
};

Variable AllGather::forward(
    AutogradContext* context,
    const Variable& rows,
    const c10::intrusive_ptr<Channel>& channel) {
  remember(context, channel);
  return channel->all_gather(rows.contiguous());
}

variable_list AllGather::backward(AutogradContext* context, variable_list gradients) {
  return {ReduceScatter::apply(gradients[0], recall(context)), Variable()};
}

Variable ReduceScatter::forward(
    AutogradContext* context,
    const Variable& all,
    const c10::intrusive_ptr<Channel>& channel) {
  remember(context, channel);
  return channel->reduce_scatter_sum(all.contiguous());
}

variable_list ReduceScatter::backward(AutogradContext* context, variable_list gradients) {
  return {AllGather::apply(gradients[0], recall(context)), Variable()};
}

} // namespace

at::Tensor all_gather_grad(const c10::intrusive_ptr<Channel>& channel, const at::Tensor& tensor) {
  return classified([&] { return AllGather::apply(tensor, channel); });
}

} // namespace tandem

// The differentiable sum over shards. Shard s contributes x_s, and every shard receives y = sum_s x_s. The derivative of
// sum_s l_s(y) by each x_s is sum_s dl_s/dy, so that the operation is its own adjoint: it is its own backward pass, and
// derivatives of every order exist (the input-gradient penalty needs the second). Rows are gathered first and then added
// in the order of shards, so that the bits do not depend on the number of ranks.

#include "autograd.hpp"
#include "process_group.hpp"
#include "status.hpp"

namespace tandem {
namespace {

const char* const kChannel = "channel";

struct ShardSum : public Function<ShardSum> {
  static Variable forward(AutogradContext* context, const Variable& rows, const c10::intrusive_ptr<Channel>& channel) {
    context->saved_data[kChannel] = c10::IValue::make_capsule(channel);
    const auto all = channel->all_gather(rows.contiguous());
    return all.sum(0, true).expand_as(rows).contiguous();
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto channel = c10::static_intrusive_pointer_cast<Channel>(context->saved_data[kChannel].toCapsule());
    return {ShardSum::apply(gradients[0], channel), Variable()};
  }
};

} // namespace

at::Tensor shard_sum(const c10::intrusive_ptr<Channel>& channel, const at::Tensor& rows) {
  return classified([&] { return ShardSum::apply(rows, channel); });
}

} // namespace tandem

// The ranks of one attempt and what they can do together. Works on any c10d::Backend; process_group.cpp makes those of
// Gloo, the NCCL plugin those of NCCL.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "agree.hpp"
#include "rendezvous.hpp"

namespace tandem {

// One set of connections and the order of calls on it. Reference-counted, because an autograd graph may outlive its
// group.
class Channel : public torch::CustomClassHolder {
 public:
  Channel(c10::intrusive_ptr<c10d::Backend> backend, Agreement agreement);

  void agree(Operation operation, int64_t detail, const at::Tensor* tensor);

  // In place: the sum over ranks.
  void all_reduce_sum(at::Tensor tensor);
  void broadcast(at::Tensor tensor, int64_t root);
  void barrier();
  // Contiguous [n, ...] on each rank -> [world * n, ...], in rank order.
  at::Tensor all_gather(const at::Tensor& tensor);
  // Point to point; calls are not compared here.
  void send(at::Tensor tensor, int32_t to);
  void recv(at::Tensor tensor, int32_t from);

  void abort();

 private:
  c10::intrusive_ptr<c10d::Backend> backend_;
  Agreement agreement_;
};

struct ProcessGroup {
  c10::intrusive_ptr<Channel> main;
  // For shard_sum alone, whose backward passes run in autograd's order, not in the caller's.
  c10::intrusive_ptr<Channel> autograd;
};

// [own shards, ...] -> the same shape, each row the sum over all shards of all ranks; differentiable (shard_sum.cpp).
at::Tensor shard_sum(const c10::intrusive_ptr<Channel>& channel, const at::Tensor& rows);

} // namespace tandem

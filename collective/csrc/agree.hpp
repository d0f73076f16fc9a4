// Before ranks exchange data they make sure that they are about to exchange the same thing. Gloo ends the process when
// sizes differ between ranks (it throws on a thread of its own); with this step a difference is an error on every rank.
#pragma once

#include <array>
#include <cstdint>
#include <set>

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace tandem {

// What a rank is about to do.
enum class Operation : int64_t {
  Refused = 0, // this rank's own arguments were wrong: it lets the others know
  AllReduce = 1,
  Broadcast = 2,
  AllGather = 3,
  Barrier = 4,
  TreeSum = 5,
};

constexpr size_t kMaxDims = 8;

// operation, detail (root or shards), dtype, number of dimensions, hash of the strides, sizes
using Call = std::array<int64_t, 5 + kMaxDims>;

Call describe(Operation operation, int64_t detail, const at::Tensor* tensor);

// How the ranks of one group compare their calls.
class Agreement {
 public:
  // Gloo: a small all-gather before each call, about 0.1 ms on one machine.
  static Agreement by_gather(c10::intrusive_ptr<c10d::Backend> backend);
  // NCCL: over the store, the first time that a call of this kind is made, so that no step waits for the device. A
  // rank that later departs from the others is stopped by the group's timeout instead.
  static Agreement by_store(c10::intrusive_ptr<c10d::Store> store, int rank, int world_size);

  // Throws Failure(Invalid) on every rank unless all of them are at an equal call.
  void reach(const Call& mine);

 private:
  std::vector<Call> exchange(const Call& mine);

  c10::intrusive_ptr<c10d::Backend> backend_;
  c10::intrusive_ptr<c10d::Store> store_;
  int rank_ = 0;
  int world_size_ = 1;
  uint64_t round_ = 0;
  std::set<Call> seen_;
};

} // namespace tandem

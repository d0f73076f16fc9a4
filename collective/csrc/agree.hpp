// Ranks compare their calls before they exchange data. Gloo ends the process when sizes differ between ranks (it throws
// on a thread of its own); with this check a difference is an error on every rank.
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
  Refused = 0, // this rank's own arguments were wrong, and it tells the others so
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
  // Gloo: by a small all-gather before each call.
  static Agreement by_gather(c10::intrusive_ptr<c10d::Backend> backend);
  // NCCL: through the store, and only the first time that a call is made, so that no step waits for the device. Ranks
  // that differ later are stopped by the group's timeout.
  static Agreement by_store(c10::intrusive_ptr<c10d::Store> store, int rank, int world_size);

  // Throws Failure(Unequal) on every rank unless all ranks make an equal call.
  void check(const Call& mine);

 private:
  std::vector<Call> exchange(const Call& mine);

  c10::intrusive_ptr<c10d::Backend> backend_;
  c10::intrusive_ptr<c10d::Store> store_;
  int rank_ = 0;
  int world_size_ = 1;
  uint64_t round_ = 0;
  std::set<Call> agreed_;
};

} // namespace tandem

#include "agree.hpp"

#include <cstring>
#include <sstream>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "status.hpp"

namespace tandem {
namespace {

std::string to_text(const Call& call) {
  static const char* const names[] = {"", "all_reduce_sum", "broadcast", "all_gather", "barrier", "tree_sum"};
  const auto operation = static_cast<Operation>(call[0]);
  if (operation == Operation::Refused) {
    return "has refused its own arguments (its error says why)";
  }
  std::ostringstream text;
  text << "calls " << names[call[0]];
  if (operation == Operation::Barrier) {
    return text.str();
  }
  text << " of " << c10::toString(static_cast<c10::ScalarType>(call[2])) << " [";
  for (int64_t dim = 0; dim < call[3]; ++dim) {
    text << (dim ? ", " : "") << call[5 + dim];
  }
  text << "]";
  if (operation == Operation::Broadcast) {
    text << " from rank " << call[1];
  } else if (operation == Operation::TreeSum) {
    text << " over " << call[1] << " shards";
  }
  return text.str();
}

} // namespace

Call describe(Operation operation, int64_t detail, const at::Tensor* tensor) {
  Call call{};
  call[0] = static_cast<int64_t>(operation);
  call[1] = detail;
  if (tensor == nullptr) {
    return call;
  }
  const auto sizes = tensor->sizes();
  if (sizes.size() > kMaxDims) {
    throw Failure(Kind::Invalid, "a tensor of more than 8 dimensions cannot be exchanged between ranks");
  }
  call[2] = static_cast<int64_t>(tensor->scalar_type());
  call[3] = static_cast<int64_t>(sizes.size());
  // Unsigned, because it may overflow.
  uint64_t strides = 0;
  for (size_t dim = 0; dim < sizes.size(); ++dim) {
    strides = strides * 1000003 + static_cast<uint64_t>(tensor->stride(static_cast<int64_t>(dim)));
    call[5 + dim] = sizes[dim];
  }
  call[4] = static_cast<int64_t>(strides);
  return call;
}

Agreement Agreement::by_gather(c10::intrusive_ptr<c10d::Backend> backend) {
  Agreement agreement;
  agreement.rank_ = backend->getRank();
  agreement.world_size_ = backend->getSize();
  agreement.backend_ = std::move(backend);
  return agreement;
}

Agreement Agreement::by_store(c10::intrusive_ptr<c10d::Store> store, int rank, int world_size) {
  Agreement agreement;
  agreement.rank_ = rank;
  agreement.world_size_ = world_size;
  agreement.store_ = std::move(store);
  return agreement;
}

std::vector<Call> Agreement::exchange(const Call& mine) {
  std::vector<Call> calls(world_size_);
  if (backend_) {
    auto own = at::empty({static_cast<int64_t>(mine.size())}, at::kLong);
    std::memcpy(own.data_ptr(), mine.data(), sizeof(Call));
    auto all = at::empty({world_size_, own.numel()}, at::kLong);
    std::vector<std::vector<at::Tensor>> outputs{all.unbind(0)};
    std::vector<at::Tensor> inputs{own};
    backend_->allgather(outputs, inputs)->wait();
    std::memcpy(calls.data(), all.data_ptr(), sizeof(Call) * calls.size());
    return calls;
  }
  const auto key = [&](int rank) { return "call/" + std::to_string(round_) + "/" + std::to_string(rank); };
  std::vector<uint8_t> own(sizeof(Call));
  std::memcpy(own.data(), mine.data(), own.size());
  store_->set(key(rank_), own);
  for (int rank = 0; rank < world_size_; ++rank) {
    const auto bytes = store_->get(key(rank));
    if (bytes.size() != sizeof(Call)) {
      throw Failure(Kind::Unequal, "rank " + std::to_string(rank) + " runs another version of this program");
    }
    std::memcpy(calls[rank].data(), bytes.data(), bytes.size());
  }
  ++round_;
  return calls;
}

void Agreement::check(const Call& mine) {
  if (store_ && agreed_.count(mine) != 0) {
    return;
  }
  const auto calls = exchange(mine);
  for (int rank = 0; rank < world_size_; ++rank) {
    // Two refusals are equal calls: they do not fail here, since each rank has an error of its own to report.
    if (calls[rank] != mine) {
      std::ostringstream text;
      text << "ranks disagree: rank " << rank << " " << to_text(calls[rank]) << " while rank " << rank_ << " "
           << to_text(mine) << "; all ranks must make equal calls, with equal shapes and layouts, in the same order";
      throw Failure(Kind::Unequal, text.str());
    }
  }
  if (store_) {
    agreed_.insert(mine);
  }
}

} // namespace tandem

#include "process_group.hpp"

#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include "gloo_device.hpp"
#include "status.hpp"

namespace tandem {
namespace {

// No wait has a limit of its own: Gloo's wait(timeout) gives up without cancelling, so that the tensor stays in use and
// the group's destructor blocks. The group's timeout ends the operation itself.
void wait_for(const c10::intrusive_ptr<c10d::Work>& work) {
  if (!work->wait()) {
    throw Failure(Kind::PeerLost, "the operation was aborted");
  }
}

c10::intrusive_ptr<Channel> gloo(
    const RendezvousStore& store,
    const std::string& prefix,
    int rank,
    int world_size,
    const GlooDevice& device,
    std::chrono::milliseconds timeout) {
  auto options = c10d::ProcessGroupGloo::Options::create(timeout);
  options->devices.push_back(device.get());
  // One thread is enough: calls are made one after another.
  options->threads = 1;
  auto scoped = c10::make_intrusive<c10d::PrefixStore>(prefix, store.store);
  auto backend = c10::make_intrusive<c10d::ProcessGroupGloo>(scoped, rank, world_size, options);
  return c10::make_intrusive<Channel>(backend, Agreement::by_gather(backend));
}

} // namespace

Channel::Channel(c10::intrusive_ptr<c10d::Backend> backend, Agreement agreement)
    : backend_(std::move(backend)), agreement_(std::move(agreement)) {}

void Channel::agree(Operation operation, int64_t detail, const at::Tensor* tensor) {
  classified([&] { agreement_.check(describe(operation, detail, tensor)); });
}

void Channel::all_reduce_sum(at::Tensor tensor) {
  agree(Operation::AllReduce, 0, &tensor);
  classified([&] {
    std::vector<at::Tensor> tensors{std::move(tensor)};
    wait_for(backend_->allreduce(tensors));
  });
}

void Channel::broadcast(at::Tensor tensor, int64_t root) {
  agree(Operation::Broadcast, root, &tensor);
  classified([&] {
    std::vector<at::Tensor> tensors{std::move(tensor)};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    wait_for(backend_->broadcast(tensors, options));
  });
}

void Channel::barrier() {
  agree(Operation::Barrier, 0, nullptr);
  classified([&] { wait_for(backend_->barrier()); });
}

at::Tensor Channel::all_gather(const at::Tensor& tensor) {
  agree(Operation::AllGather, 0, &tensor);
  return classified([&] {
    auto sizes = tensor.sizes().vec();
    sizes[0] *= backend_->getSize();
    auto output = at::empty(sizes, tensor.options());
    auto input = tensor.detach();
    wait_for(backend_->_allgather_base(output, input));
    return output;
  });
}

void Channel::send(at::Tensor tensor, int32_t to) {
  classified([&] {
    std::vector<at::Tensor> tensors{std::move(tensor)};
    wait_for(backend_->send(tensors, to, 0));
  });
}

void Channel::recv(at::Tensor tensor, int32_t from) {
  classified([&] {
    std::vector<at::Tensor> tensors{std::move(tensor)};
    wait_for(backend_->recv(tensors, from, 0));
  });
}

void Channel::abort() {
  backend_->abort();
}

} // namespace tandem

using tandem::guard;

extern "C" {

// Both channels share `device`, and so the one port on which this rank listens for its peers.
int32_t tandem_group_gloo(
    const tandem::RendezvousStore* store,
    const char* prefix,
    int32_t rank,
    int32_t world_size,
    const tandem::GlooDevice* device,
    int64_t timeout_ms,
    tandem::ProcessGroup** group,
    char** message) {
  return guard(message, [&] {
    const std::string name(prefix);
    const auto timeout = std::chrono::milliseconds(timeout_ms);
    *group = new tandem::ProcessGroup{
        tandem::gloo(*store, name + "/main", rank, world_size, *device, timeout),
        tandem::gloo(*store, name + "/autograd", rank, world_size, *device, timeout)};
  });
}

// Drops a backend of the NCCL plugin that came into no group.
void tandem_backend_free(c10d::Backend* backend) noexcept {
  c10::intrusive_ptr<c10d::Backend>::reclaim(backend).reset();
}

// Takes ownership of two backends made by the NCCL plugin, whether it succeeds or not.
int32_t tandem_group_nccl(
    const tandem::RendezvousStore* store,
    const char* prefix,
    c10d::Backend* main,
    c10d::Backend* autograd,
    tandem::ProcessGroup** group,
    char** message) {
  using Owned = c10::intrusive_ptr<c10d::Backend>;
  // Both before anything can throw.
  auto of_main = Owned::reclaim(main);
  auto of_autograd = Owned::reclaim(autograd);
  return guard(message, [&] {
    const auto channel = [&](Owned backend, const char* name) {
      auto scoped = c10::make_intrusive<c10d::PrefixStore>(std::string(prefix) + name, store->store);
      auto agreement = tandem::Agreement::by_store(scoped, backend->getRank(), backend->getSize());
      return c10::make_intrusive<tandem::Channel>(std::move(backend), std::move(agreement));
    };
    *group =
        new tandem::ProcessGroup{channel(std::move(of_main), "/main"), channel(std::move(of_autograd), "/autograd")};
  });
}

// c10d's destructors are noexcept: one that throws ends the process, whatever stands around it here.
void tandem_group_free(tandem::ProcessGroup* group) noexcept {
  delete group;
}

int32_t tandem_group_abort(tandem::ProcessGroup* group, char** message) {
  return guard(message, [&] {
    group->main->abort();
    group->autograd->abort();
  });
}

// Compares a call that equals none of the others', so that they fail at once instead of at the timeout.
int32_t tandem_refuse(tandem::ProcessGroup* group, bool autograd, char** message) {
  return guard(
      message, [&] { (autograd ? group->autograd : group->main)->agree(tandem::Operation::Refused, 0, nullptr); });
}

int32_t tandem_agree_tree_sum(tandem::ProcessGroup* group, const at::Tensor* tensor, int64_t shards, char** message) {
  return guard(message, [&] { group->main->agree(tandem::Operation::TreeSum, shards, tensor); });
}

int32_t tandem_all_reduce_sum(tandem::ProcessGroup* group, const at::Tensor* tensor, char** message) {
  return guard(message, [&] { group->main->all_reduce_sum(*tensor); });
}

int32_t tandem_broadcast(tandem::ProcessGroup* group, const at::Tensor* tensor, int64_t root, char** message) {
  return guard(message, [&] { group->main->broadcast(*tensor, root); });
}

int32_t tandem_barrier(tandem::ProcessGroup* group, char** message) {
  return guard(message, [&] { group->main->barrier(); });
}

int32_t tandem_all_gather(tandem::ProcessGroup* group, const at::Tensor* tensor, at::Tensor** out, char** message) {
  return guard(message, [&] { *out = new at::Tensor(group->main->all_gather(*tensor)); });
}

int32_t tandem_shard_sum(tandem::ProcessGroup* group, const at::Tensor* rows, at::Tensor** out, char** message) {
  return guard(message, [&] { *out = new at::Tensor(tandem::shard_sum(group->autograd, *rows)); });
}

int32_t tandem_send(tandem::ProcessGroup* group, const at::Tensor* tensor, int32_t to, char** message) {
  return guard(message, [&] { group->main->send(*tensor, to); });
}

int32_t tandem_recv(tandem::ProcessGroup* group, const at::Tensor* tensor, int32_t from, char** message) {
  return guard(message, [&] { group->main->recv(*tensor, from); });
}

} // extern "C"

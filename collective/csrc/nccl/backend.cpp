// libtandem_nccl.so: makes NCCL backends. It is opened at run time, after libtorch_cuda, whose symbols it uses. The
// binaries do not link it, so that they run on hosts without CUDA.
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "../status.hpp"
#include "../rendezvous.hpp"

extern "C" __attribute__((visibility("default"))) int32_t tandem_nccl_backend(
    const tandem::RendezvousStore* store,
    const char* prefix,
    int32_t rank,
    int32_t world_size,
    int32_t device,
    int64_t timeout_ms,
    c10d::Backend** backend,
    char** message) {
  return tandem::guard(message, [&] {
    if (device < 0 || device >= c10::cuda::device_count_ensure_non_zero()) {
      throw tandem::Failure(
          tandem::Kind::Invalid,
          "there is no CUDA device " + std::to_string(device) + ": this process sees " +
              std::to_string(c10::cuda::device_count()));
    }
    auto options = c10d::ProcessGroupNCCL::Options::create();
    options->timeout = std::chrono::milliseconds(timeout_ms);
    auto scoped = c10::make_intrusive<c10d::PrefixStore>(prefix, store->store);
    auto group = c10::make_intrusive<c10d::ProcessGroupNCCL>(scoped, rank, world_size, options);
    // Otherwise a barrier guesses the device from the rank.
    group->setBoundDeviceId(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device)));
    *backend = group.release();
  });
}

#include "rendezvous.hpp"

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "status.hpp"

namespace {

tandem::RendezvousStore* open(const char* host, c10d::TCPStoreOptions options, int64_t timeout_ms) {
  options.timeout = std::chrono::milliseconds(timeout_ms);
  // Ranks wait for the keys they need; the store need not know how many ranks there are.
  options.waitWorkers = false;
  // c10d's libuv server cannot take a bound socket; the one it opens itself listens on every interface.
  options.useLibUV = false;
  return new tandem::RendezvousStore{c10::make_intrusive<c10d::TCPStore>(host, options)};
}

} // namespace

extern "C" {

// `listener` is a bound TCP socket on `port`; the store takes it over.
int32_t tandem_store_listen(
    const char* host,
    int32_t listener,
    uint16_t port,
    int64_t timeout_ms,
    tandem::RendezvousStore** store,
    char** message) {
  return tandem::guard(message, [&] {
    c10d::TCPStoreOptions options;
    options.isServer = true;
    options.port = port;
    options.masterListenFd = listener;
    *store = open(host, options, timeout_ms);
  });
}

int32_t tandem_store_connect(
    const char* host, uint16_t port, int64_t timeout_ms, tandem::RendezvousStore** store, char** message) {
  return tandem::guard(message, [&] {
    c10d::TCPStoreOptions options;
    options.port = port;
    *store = open(host, options, timeout_ms);
  });
}

// See tandem_group_free.
void tandem_store_free(tandem::RendezvousStore* store) noexcept {
  delete store;
}

} // extern "C"

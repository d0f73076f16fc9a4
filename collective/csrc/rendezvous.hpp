// Where ranks find each other: a handle on a c10d key-value store.
#pragma once

#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace tandem {

struct RendezvousStore {
  c10::intrusive_ptr<c10d::Store> store;
};

} // namespace tandem

// Vectors of the set of instructions that a file is compiled for, by the extension that GCC and Clang share. No function of
// another header may be called here: the linker keeps one copy of an inline function, perhaps the one that needs AVX-512.
#pragma once

#include <cstdint>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace tandem {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <typename T, int kLanes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(sizeof(T) * kLanes), aligned(alignof(T)), may_alias));
};

template <typename T>
struct VectorOf<T, 1> {
  using Type = T;
};

template <typename T, int kLanes>
using Vector = typename VectorOf<T, kLanes>::Type;

template <int kLanes, typename T>
inline __attribute__((always_inline)) Vector<T, kLanes> load(const T* from) {
  return *reinterpret_cast<const Vector<T, kLanes>*>(from);
}

template <int kLanes, typename T>
inline __attribute__((always_inline)) void store(T* to, Vector<T, kLanes> value) {
  *reinterpret_cast<Vector<T, kLanes>*>(to) = value;
}

template <typename T, int kLanes>
inline __attribute__((always_inline)) Vector<double, kLanes> widen(Vector<T, kLanes> value) {
  if constexpr (kLanes == 1) {
    return static_cast<double>(value);
  } else {
    return __builtin_convertvector(value, Vector<double, kLanes>);
  }
}

// Past the caches: a line that is written whole need not be read first, and pushes nothing out. `to` is aligned to whole
// vectors.
template <int kLanes, typename T>
inline __attribute__((always_inline)) void stream(T* to, Vector<T, kLanes> value) {
#if defined(__AVX512F__)
  if constexpr (sizeof(value) == 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), reinterpret_cast<__m512i>(value));
    return;
  }
#elif defined(__AVX__)
  if constexpr (sizeof(value) == 32) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(value));
    return;
  }
#endif
  store<kLanes>(to, value);
}

// What was streamed is seen by whoever is told that it is done.
inline void finish_streams() {
#ifdef __x86_64__
  _mm_sfence();
#endif
}

} // namespace
} // namespace tandem

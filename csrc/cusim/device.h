// CUDA's names for kernels that run on the machine: built-in variables, barriers, shuffles, votes,
// atomics, bit casts. Float arithmetic is the processor's.
#pragma once

#include <bit>
#include <cmath>
#include <type_traits>

#include "cusim/machine.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define threadIdx (::cusim::thread_index())
#define blockIdx (::cusim::block_index())
#define blockDim (::cusim::block_size())
#define gridDim (::cusim::grid_size())

using dim3 = cusim::Index;

namespace cusim {

constexpr unsigned kAllLanes = 0xffffffffu;

// What lane `source(own)` sent, which must be in the mask.
template <class T, class Source>
T shuffle(const char* operation, unsigned mask, T value, Source source, Site site) {
  static_assert(std::is_trivially_copyable_v<T>);
  T all[32];
  exchange(operation, mask, &value, sizeof(T), all, site);
  const unsigned from = unsigned(source(int(lane())));
  if (!(mask >> from & 1)) {
    fail(std::string(operation) + " of lane " + std::to_string(lane()) + " reads lane " +
         std::to_string(from) + ", which is not in the mask");
  }
  return all[from];
}

// The old value, after `change` took its place.
template <class T, class Change>
__attribute__((noinline, no_sanitize("thread"))) T update(T* at, Change change) {
  atomic_access(at, sizeof(T));
  const T old = *at;
  *at = change(old);
  return old;
}

}  // namespace cusim

inline void __syncthreads(cusim::Site site = cusim::Site::current()) {
  cusim::block_barrier("__syncthreads", cusim::Vote::any, 0, site);
}
inline int __syncthreads_count(int predicate, cusim::Site site = cusim::Site::current()) {
  return cusim::block_barrier("__syncthreads_count", cusim::Vote::count, predicate, site);
}
inline int __syncthreads_and(int predicate, cusim::Site site = cusim::Site::current()) {
  return cusim::block_barrier("__syncthreads_and", cusim::Vote::all, predicate, site);
}
inline int __syncthreads_or(int predicate, cusim::Site site = cusim::Site::current()) {
  return cusim::block_barrier("__syncthreads_or", cusim::Vote::any, predicate, site);
}
inline void __syncwarp(unsigned mask = cusim::kAllLanes,
                       cusim::Site site = cusim::Site::current()) {
  cusim::warp_barrier(mask, site);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int from, cusim::Site site = cusim::Site::current()) {
  return cusim::shuffle("__shfl_sync", mask, value, [=](int) { return from & 31; }, site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int by, cusim::Site site = cusim::Site::current()) {
  return cusim::shuffle("__shfl_xor_sync", mask, value, [=](int own) { return own ^ by; }, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, cusim::Site site = cusim::Site::current()) {
  const auto source = [=](int own) { return own + int(by) < 32 ? own + int(by) : own; };
  return cusim::shuffle("__shfl_down_sync", mask, value, source, site);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              cusim::Site site = cusim::Site::current()) {
  int all[32];
  cusim::exchange("__ballot_sync", mask, &predicate, sizeof(int), all, site);
  unsigned votes = 0;
  for (int i = 0; i < 32; ++i) votes |= unsigned((mask >> i & 1) && all[i]) << i;
  return votes;
}

template <class T>
T atomicAdd(T* at, std::type_identity_t<T> by) {
  return cusim::update(at, [=](T old) { return T(old + by); });
}
template <class T>
T atomicMin(T* at, std::type_identity_t<T> with) {
  return cusim::update(at, [=](T old) { return with < old ? with : old; });
}

inline int __float_as_int(float value) { return std::bit_cast<int>(value); }
inline float __int_as_float(int value) { return std::bit_cast<float>(value); }

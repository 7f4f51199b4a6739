// The SGLD step: w <- w - lr (g + weight_decay w) + s eps.
#pragma once

#include "sgld/cuda/lanes.cuh"

namespace stnas::cuda {

constexpr int kThreads = 128;
constexpr int kTensors = 64;     // of one launch: their table travels as a parameter of the kernel
constexpr int64_t kPart = 4096;  // elements of a CUDA block

template <class T>
struct Entry {
  T* param;
  const T* grad;
  int64_t elements;
  double noise;
  uint32_t id, first;  // the CUDA block of its first part
};

template <class T>
struct Table {
  Entry<T> entries[kTensors];
  int count;
};

// The tensor that a part belongs to.
template <class T>
__device__ int find_entry(const Table<T>& table, uint32_t part) {
  int low = 0;
  for (int step = kTensors / 2; step > 0; step /= 2) {
    const bool later = low + step < table.count && table.entries[low + step].first <= part;
    low += later ? step : 0;
  }
  return low;
}

template <class T>
struct Factors {
  T lr, weight_decay, noise;
};

// The arithmetic of csrc/sgld/cpu/kernels.cpp, operation by operation.
template <bool noisy, class T>
__device__ void move(T& w, T g, T z, const Factors<T>& by) {
  w = w - (g + w * by.weight_decay) * by.lr;
  if constexpr (noisy) w = w + z * by.noise;
}

// Moves elements [at, at + 4); those beyond the tensor's end stay away from memory.
template <bool noisy, class T>
__device__ void move_four(const Entry<T>& to, int64_t at, const float* z, const Factors<T>& by,
                          bool wide) {
  using Four = Pack<T, 4>;
  if (wide && at + 4 <= to.elements) {
    Four w = *reinterpret_cast<const Four*>(to.param + at);
    const Four g = *reinterpret_cast<const Four*>(to.grad + at);
#pragma unroll
    for (int i = 0; i < 4; ++i) move<noisy>(w.at[i], g.at[i], T(z[i]), by);
    *reinterpret_cast<Four*>(to.param + at) = w;
    return;
  }
  for (int i = 0; i < 4 && at + i < to.elements; ++i) {
    T w = to.param[at + i];
    move<noisy>(w, to.grad[at + i], T(z[i]), by);
    to.param[at + i] = w;
  }
}

// The normals of elements 4 k to 4 k + 3 of a group, and of those 64 later: the cosines and sines
// of two blocks of Philox.
__device__ inline void draw(const sgld::Stream& stream, int64_t group, int k, float* cosine,
                            float* sine) {
  const auto block = static_cast<uint32_t>(group * 32 + 2 * k);
#pragma unroll
  for (int b = 0; b < 2; ++b) {
    const Words words = philox(stream, block + b);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const auto pair = sgld::normal_pair<Lanes>(words.x[i], words.x[2 + i]);
      cosine[2 * b + i] = pair.cosine;
      sine[2 * b + i] = pair.sine;
    }
  }
}

// One CUDA block per part of a tensor, 16 threads per group of 128 elements: thread k moves
// elements 4 k to 4 k + 3 and those 64 later, so that 16 neighbours access 256 bytes in one piece.
template <class T, bool noisy>
__global__ void __launch_bounds__(kThreads)
    sgld_step_kernel(const __grid_constant__ Table<T> table, sgld::Rule rule, const double* rms) {
  const int which = find_entry(table, blockIdx.x);
  const Entry<T>& to = table.entries[which];
  const double noise = noisy && rms ? to.noise * rms[which] : to.noise;
  const Factors<T> by{T(rule.lr), T(rule.weight_decay), T(noise)};
  const bool wide = aligned(to.param, to.grad);
  const int64_t begin = (blockIdx.x - to.first) * kPart;
  const int64_t end = begin + kPart < to.elements ? begin + kPart : to.elements;
  const int k = static_cast<int>(threadIdx.x % 16);
  const sgld::Stream stream{rule.seed, rule.step, to.id};
  constexpr int64_t kStride = kThreads / 16 * sgld::kGroup;
  for (int64_t at = begin + threadIdx.x / 16 * sgld::kGroup; at < end; at += kStride) {
    float cosine[4] = {}, sine[4] = {};
    if constexpr (noisy) draw(stream, at / sgld::kGroup, k, cosine, sine);
    move_four<noisy>(to, at + 4 * k, cosine, by, wide);
    move_four<noisy>(to, at + 64 + 4 * k, sine, by, wide);
  }
}

// Sums of squares of each part, in the order of the CPU form: lane k of eight adds up the elements
// k, k + 8, ..., then the lanes join as a tree. A warp reads whole sectors.
template <class T>
__global__ void __launch_bounds__(kThreads)
    sum_squares_kernel(const __grid_constant__ Table<T> table, uint32_t parts, double* sums) {
  const uint32_t part = (blockIdx.x * kThreads + threadIdx.x) / 8;
  double sum = 0;
  if (part < parts) {
    const Entry<T>& of = table.entries[find_entry(table, part)];
    const int64_t begin = (part - of.first) * kPart;
    const int64_t end = begin + kPart < of.elements ? begin + kPart : of.elements;
    for (int64_t i = begin + threadIdx.x % 8; i < end; i += 8) {
      const auto value = static_cast<double>(of.param[i]);
      sum += value * value;
    }
  }
  sum += __shfl_xor_sync(0xffffffffu, sum, 4);
  sum += __shfl_xor_sync(0xffffffffu, sum, 1);
  sum += __shfl_xor_sync(0xffffffffu, sum, 2);
  if (part < parts && threadIdx.x % 8 == 0) sums[part] = sum;
}

// rms[t] = sqrt(sum of its parts / elements), one warp per tensor; the parts join in their order.
template <class T>
__global__ void __launch_bounds__(32)
    root_mean_square_kernel(const __grid_constant__ Table<T> table, const double* sums,
                            double* rms) {
  const Entry<T>& of = table.entries[blockIdx.x];
  const int64_t parts = (of.elements + kPart - 1) / kPart;
  double total = 0;
  for (int64_t begin = 0; begin < parts; begin += 32) {
    const int64_t mine = begin + threadIdx.x;
    const double sum = mine < parts ? sums[of.first + mine] : 0.;
    for (int lane = 0; lane < 32; ++lane) {
      const double next = __shfl_sync(0xffffffffu, sum, lane);
      if (begin + lane < parts) total += next;
    }
  }
  if (threadIdx.x == 0) rms[blockIdx.x] = sqrt(total / static_cast<double>(of.elements));
}

}  // namespace stnas::cuda

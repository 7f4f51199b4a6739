// What a step is told: plain pointers, numbers, and how to run ranges in parallel. No torch.
#pragma once

#include <cstdint>
#include <vector>

namespace stnas::sgld {

// Elements are worked on in groups of 128: 32 blocks of Philox, four numbers each.
constexpr int64_t kGroup = 128;
constexpr int64_t kLargest = int64_t{4} << 32;  // elements of a tensor that its blocks can number

constexpr int64_t count_groups(int64_t elements) { return (elements + kGroup - 1) / kGroup; }

// Names the noise of one tensor in one step: the key is the seed, the counter is
// (block, tensor, step).
struct Stream {
  uint64_t seed;
  uint64_t step;
  uint32_t tensor;
};

// One contiguous tensor of the step.
template <class T>
struct Target {
  T* param;
  const T* grad;
  int64_t elements;
  uint32_t id;
  double noise;  // standard deviation; 0 draws nothing
};

// w <- w - lr (g + weight_decay w) + noise eps.
struct Rule {
  double lr;
  double weight_decay;
  uint64_t seed;
  uint64_t step;
};

// Groups [begin, end) of a tensor, on one thread, for one instruction set.
template <class T>
using Update = void (*)(const Target<T>&, const Rule&, int64_t begin, int64_t end);

struct Kernels {
  using Stored = float;  // what the sets have kernels of their own for
  Update<float> update_float;
  Update<double> update_double;
  // Both write `count` numbers, from the given block or group on.
  void (*words)(const Stream&, uint32_t block, int64_t count, uint32_t* out);
  void (*normal)(const Stream&, int64_t group, int64_t count, float* out);
};

// Calls task(context, begin, end) for ranges that make up [0, count), on any threads; ranges of
// fewer than `grain` need not be divided.
struct Executor {
  void (*run)(int64_t count, int64_t grain, void (*task)(void*, int64_t, int64_t), void* context);
};

// Steps every target. The result does not depend on how the executor divides the work.
template <class T>
void step(const std::vector<Target<T>>& targets, const Rule& rule, const Kernels& kernels,
          Executor executor);

// sqrt(mean(w^2)), added up in a fixed order; 0 for no elements.
template <class T>
double root_mean_square(const T* values, int64_t elements);

}  // namespace stnas::sgld

// What the problems of several operators are made of: plain pointers, sizes, and how to run tasks
// in parallel. No torch.
#pragma once

#include "host/numbers.h"

namespace stnas::cpu {

constexpr double kEpsilon = 1e-5;  // of every BN

enum class Activation : int { relu, relu6, hardswish, silu };

// Calls task(context, i) for i in [0, count), in any order and on any threads.
struct Executor {
  void (*run)(index count, void (*task)(void* context, index i), void* context);
};

// BN of one layer; null weight or bias stand for 1 and 0, mean and var are for inference alone.
template <class T>
struct Norm {
  const T *weight, *bias, *mean, *var;
};

// The value of a node, NHWC.
template <class T, class S = T>
struct Node {
  const S* x;
  index images, height, width, channels;
  Executor executor;
};

}  // namespace stnas::cpu

// The kernels, as the bindings see them: plain pointers to device memory, sizes, a stream. Each is
// compiled by nvcc for devices, and by the host's compiler on the emulator for the tests.
#pragma once

#include <cstdint>
#include <vector>

#include "bottleneck/image_sum.h"
#include "sgld/step.h"

namespace stnas::cuda {

// Steps every target; where `scratch` is given, the noise of each is multiplied by the root mean
// square of its parameters before the step.
template <class T>
void sgld_step(const std::vector<sgld::Target<T>>& targets, const sgld::Rule& rule, double* scratch,
               void* stream);

// Numbers of `scratch` that the targets need.
template <class T>
int64_t count_scratch(const std::vector<sgld::Target<T>>& targets);

// One batch of genotypes, all in device memory. `bad` becomes the least index of a gene outside the
// table, where there is one.
struct Counting {
  const int8_t* genotypes;  // [rows, genes]
  const int64_t* table;     // [genes, choices]
  int64_t* counts;          // [rows]
  int64_t* bad;
  int64_t rows, genes, choices;
};
void count_madds(const Counting& work, void* stream);

// Memory of the device for the time of a call.
struct Workspace {
  void* (*take_bytes)(void* context, int64_t bytes);
  void* context;

  template <class T>
  T* take(int64_t count) const {
    return static_cast<T*>(take_bytes(context, count * static_cast<int64_t>(sizeof(T))));
  }
};

// The choice block, of images that are stored as S: float, double or cpu::BFloat16. What the pointers
// of a problem point at is described with them; the hidden and expanded tensors are saved as
// [pixels][padded channels] here. No call waits for the device.
template <class S>
struct BottleneckForward {
  using T = cpu::Wide<S>;
  using Problem = cpu::Problem<T, S>;

  static void train(const Problem&, const cpu::Saved<T, S>&, const cpu::Target<T, S>&,
                    const Workspace&, void* stream);
  static void infer(const Problem&, S* out, const Workspace&, void* stream);
  // Moves the running statistics, mean and variance of the three BN, to those of the batch.
  static void move_running(const Problem&, const T* statistics, T* const (&running)[6],
                           double momentum, void* stream);
};

template <class S>
struct BottleneckBackward {
  using T = cpu::Wide<S>;

  static void run(const cpu::Problem<T, S>&, const cpu::Saved<T, S>&, const S* grad,
                  const cpu::Gradients<T, S>&, const Workspace&, void* stream);
};

// Mean and covariance over the pixels: [1 + channels, channels].
template <class S>
struct NodeMoments {
  static void run(const cpu::Node<cpu::Wide<S>, S>&, cpu::Wide<S>* to, const Workspace&,
                  void* stream);
};

// Of at most 16 parts.
template <class S>
void sum_images(const cpu::ImageSum<S>&, void* stream);

// BN with the statistics of the batch and its activation: mean and biased variance to `statistics`,
// the gradients of weight and bias to `affine`.
template <class T>
void norm_act(const cpu::NormAct<T>&, T* statistics, T* out, const Workspace&, void* stream);
template <class T>
void norm_act_gradient(const cpu::NormAct<T>&, const T* statistics, const T* grad, T* grad_x,
                       T* affine, const Workspace&, void* stream);

}  // namespace stnas::cuda

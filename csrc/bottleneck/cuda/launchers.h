// The kernels, as the binding sees them: plain pointers to device memory, sizes, a stream. Each is
// compiled by nvcc for devices, and by the host's compiler on the emulator for the tests.
#pragma once

#include "bottleneck/image_sum.h"
#include "bottleneck/problem.h"
#include "device/workspace.h"

namespace stnas::cuda {

// The choice block, of images that are stored as S: float, double or cpu::BFloat16. What the
// pointers of a problem point at is described with them; the hidden and expanded tensors are saved
// as [pixels][padded channels] here. No call waits for the device.
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

}  // namespace stnas::cuda

// The kernels, as the binding sees them: plain pointers to device memory, sizes, a stream. Each is
// compiled by nvcc for devices, and by the host's compiler on the emulator for the tests.
#pragma once

#include "device/workspace.h"
#include "layers/problem.h"

namespace stnas::cuda {

// BN with the statistics of the batch and its activation: mean and biased variance to `statistics`,
// the gradients of weight and bias to `affine`.
template <class T>
void norm_act(const cpu::NormAct<T>&, T* statistics, T* out, const Workspace&, void* stream);
template <class T>
void norm_act_gradient(const cpu::NormAct<T>&, const T* statistics, const T* grad, T* grad_x,
                       T* affine, const Workspace&, void* stream);

}  // namespace stnas::cuda

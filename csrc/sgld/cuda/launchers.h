// The kernels, as the binding sees them: plain pointers to device memory, sizes, a stream. Each is
// compiled by nvcc for devices, and by the host's compiler on the emulator for the tests.
#pragma once

#include <cstdint>
#include <vector>

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

}  // namespace stnas::cuda

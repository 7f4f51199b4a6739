// What setup.py compiled the kernels for.
#include <torch/csrc/stable/library.h>

#include <string>

#ifndef STNAS_CUDA_TARGETS
#define STNAS_CUDA_TARGETS ""
#endif

namespace {

std::string cuda_targets() { return STNAS_CUDA_TARGETS; }

}  // namespace

STABLE_TORCH_LIBRARY_IMPL(stnas, CompositeExplicitAutograd, ops) {
  ops.impl("cuda_targets", TORCH_BOX(&cuda_targets));
}

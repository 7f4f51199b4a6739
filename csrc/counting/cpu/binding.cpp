// Counting on the CPU, for tensors.
#include <torch/csrc/stable/library.h>

#include "counting/arguments.h"

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("count_madds", TORCH_BOX(&stnas::counting::count_madds_cpu));
}

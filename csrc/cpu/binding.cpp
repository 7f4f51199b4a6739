// What the CPU kernels tell about themselves.
#include <torch/csrc/stable/library.h>

#include <string>

#include "problem.h"

namespace stnas::cpu {
namespace {

std::string isa() { return instruction_set(); }

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CompositeExplicitAutograd, ops) {
  ops.impl("isa", TORCH_BOX(&stnas::cpu::isa));
}

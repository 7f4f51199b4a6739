// What the extension says of itself.
#include <torch/csrc/stable/library.h>

#include "host/instruction_set.h"

namespace stnas::cpu {
namespace {

std::string isa() { return instruction_set(); }

std::string isas() {
  std::string names;
  for (const auto& name : instruction_sets()) names += (names.empty() ? "" : " ") + name;
  return names;
}

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CompositeExplicitAutograd, ops) {
  ops.impl("isa", TORCH_BOX(&stnas::cpu::isa));
  ops.impl("isas", TORCH_BOX(&stnas::cpu::isas));
}

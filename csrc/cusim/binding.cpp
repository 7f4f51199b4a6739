// The emulator's own operators, for tests: the schedule of later launches, and what was measured.
#include <torch/csrc/stable/library.h>

#include <string>

#include "cusim/machine.h"

namespace {

void schedule(int64_t order, int64_t seed) {
  cusim::schedule(static_cast<cusim::Order>(order), static_cast<uint64_t>(seed));
}

std::string traffic() { return cusim::traffic(); }

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(stnas_sim, ops) {
  ops.def("schedule(int order, int seed) -> ()");
  ops.def("traffic() -> str");
}

STABLE_TORCH_LIBRARY_IMPL(stnas_sim, CompositeExplicitAutograd, ops) {
  ops.impl("schedule", TORCH_BOX(&schedule));
  ops.impl("traffic", TORCH_BOX(&traffic));
}

// The training pass and inference for one instruction set.
#include "host/table.h"
#include "shuffle/cpu/inference.h"

namespace stnas::cpu::STNAS_ISA {

#define STNAS_TABLE(type)                                                         \
  template <>                                                                     \
  const ShuffleForward<type>& table() {                                           \
    static constexpr ShuffleForward<type> kernels{                                \
        [](const ShuffleProblem<type>& p, type* out) { train_shuffle(p, out); },  \
        [](const ShuffleProblem<type>& p, type* out) { infer_shuffle(p, out); }}; \
    return kernels;                                                               \
  }
STNAS_EACH_WIDE_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

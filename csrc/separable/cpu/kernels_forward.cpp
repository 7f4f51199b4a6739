// The training pass for one instruction set.
#include "host/table.h"
#include "separable/cpu/forward.h"

namespace stnas::cpu::STNAS_ISA {

#define STNAS_TABLE(type)                                                             \
  template <>                                                                         \
  const SeparableForward<type>& table() {                                             \
    static constexpr SeparableForward<type> kernels{                                  \
        [](const SeparableProblem<type>& p, type* out) { train_separable(p, out); }}; \
    return kernels;                                                                   \
  }
STNAS_EACH_WIDE_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

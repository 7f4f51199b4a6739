// The gradient of the training pass for one instruction set.
#include "host/table.h"
#include "separable/cpu/backward.h"

namespace stnas::cpu::STNAS_ISA {

#define STNAS_TABLE(type)                                                                  \
  template <>                                                                              \
  const SeparableBackward<type>& table() {                                                 \
    static constexpr SeparableBackward<type> kernels{                                      \
        [](const SeparableProblem<type>& p, const type* grad,                              \
           const SeparableGradients<type>& to) { differentiate_separable(p, grad, to); }}; \
    return kernels;                                                                        \
  }
STNAS_EACH_WIDE_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

// The block between two stages of cells for one instruction set.
#include "host/table.h"
#include "mixture/cpu/halving_backward.h"

namespace stnas::cpu::STNAS_ISA {

#define STNAS_TABLE(type)                                                                      \
  template <>                                                                                  \
  const HalvingKernels<type>& table() {                                                        \
    static constexpr HalvingKernels<type> kernels{                                             \
        [](const Halving<type>& p, const HalvingValues<type>& to, type* out) {                 \
          halve(p, to, out);                                                                   \
        },                                                                                     \
        [](const Halving<type>& p, const HalvingValues<type>& values, const type* grad,        \
           const HalvingGradients<type>& to) { differentiate_halving(p, values, grad, to); }}; \
    return kernels;                                                                            \
  }
STNAS_EACH_WIDE_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

// A mixed node and its gradient for one instruction set.
#include "host/table.h"
#include "mixture/cpu/backward.h"

namespace stnas::cpu::STNAS_ISA {

#define STNAS_TABLE(type)                                                                      \
  template <>                                                                                  \
  const MixtureKernels<type>& table() {                                                        \
    static constexpr MixtureKernels<type> kernels{                                             \
        [](const MixedNode<type>& p, type* statistics, type* out, type* rectified) {           \
          mix(p, statistics, out, rectified);                                                  \
        },                                                                                     \
        [](const MixedNode<type>& p, const type* statistics, const MixedGradients<type>& to) { \
          differentiate_mixture(p, statistics, to);                                            \
        }};                                                                                    \
    return kernels;                                                                            \
  }
STNAS_EACH_WIDE_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

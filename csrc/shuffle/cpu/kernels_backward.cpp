// The gradient of the training pass for one instruction set.
#include "host/table.h"
#include "shuffle/cpu/backward.h"

namespace stnas::cpu::STNAS_ISA {

#define STNAS_TABLE(type)                                                                       \
  template <>                                                                                   \
  const ShuffleBackward<type>& table() {                                                        \
    static constexpr ShuffleBackward<type> kernels{                                             \
        [](const ShuffleProblem<type>& p, const type* grad, const ShuffleGradients<type>& to) { \
          differentiate_shuffle(p, grad, to);                                                   \
        }};                                                                                     \
    return kernels;                                                                             \
  }
STNAS_EACH_WIDE_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

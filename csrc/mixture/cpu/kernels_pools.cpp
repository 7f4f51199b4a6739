// The pools of a node for one instruction set.
#include "host/table.h"
#include "mixture/cpu/pools.h"

namespace stnas::cpu::STNAS_ISA {

#define STNAS_TABLE(type)                                                        \
  template <>                                                                    \
  const PoolsKernels<type>& table() {                                            \
    static constexpr PoolsKernels<type> kernels{                                 \
        [](const PoolsProblem<type>& p) { pool(p); },                            \
        [](const PoolsProblem<type>& p, const type* const grad[2], type* of_x) { \
          differentiate_pools(p, grad, of_x);                                    \
        }};                                                                      \
    return kernels;                                                              \
  }
STNAS_EACH_WIDE_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

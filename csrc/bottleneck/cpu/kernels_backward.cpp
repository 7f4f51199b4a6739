// The gradient of the training pass for one instruction set.
#include "bottleneck/cpu/backward.h"
#include "host/table.h"

namespace stnas::cpu::STNAS_ISA {

template <class S>
constexpr BackwardKernels<S> make() {
  using T = Wide<S>;
  return {[](const Problem<T, S>& p, const Saved<T, S>& saved, const S* grad,
             const Gradients<T, S>& to) {
    with_activation(p.activation, [&](auto act) { backward<decltype(act)>(p, saved, grad, to); });
  }};
}

#define STNAS_TABLE(type)                                          \
  template <>                                                      \
  const BackwardKernels<type>& table() {                           \
    static constexpr BackwardKernels<type> kernels = make<type>(); \
    return kernels;                                                \
  }
STNAS_EACH_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

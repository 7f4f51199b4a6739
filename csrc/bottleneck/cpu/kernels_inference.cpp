// Inference for one instruction set.
#include "bottleneck/cpu/inference.h"
#include "host/table.h"

namespace stnas::cpu::STNAS_ISA {

template <class S>
constexpr InferenceKernels<S> make() {
  return {[](const Problem<Wide<S>, S>& p, S* out) {
    with_activation(p.activation, [&](auto act) { inference<decltype(act)>(p, out); });
  }};
}

#define STNAS_TABLE(type)                                           \
  template <>                                                       \
  const InferenceKernels<type>& table() {                           \
    static constexpr InferenceKernels<type> kernels = make<type>(); \
    return kernels;                                                 \
  }
STNAS_EACH_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

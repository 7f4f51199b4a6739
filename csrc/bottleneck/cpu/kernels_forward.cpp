// The training pass for one instruction set, and the moments of a node.
#include "bottleneck/cpu/forward.h"
#include "host/table.h"

namespace stnas::cpu::STNAS_ISA {

template <class S>
constexpr ForwardKernels<S> make() {
  using T = Wide<S>;
  return {[](const Problem<T, S>& p, const Saved<T, S>& saved, const Target<T, S>& to) {
            with_activation(p.activation, [&](auto act) { forward<decltype(act)>(p, saved, to); });
          },
          [](const Node<T, S>& node, T* to) { node_moments(node, to); }};
}

#define STNAS_TABLE(type)                                         \
  template <>                                                     \
  const ForwardKernels<type>& table() {                           \
    static constexpr ForwardKernels<type> kernels = make<type>(); \
    return kernels;                                               \
  }
STNAS_EACH_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

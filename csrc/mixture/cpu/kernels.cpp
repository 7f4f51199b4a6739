// A mixed node, merged kernels and their gradients for one instruction set.
#include "host/table.h"
#include "mixture/cpu/backward.h"
#include "mixture/cpu/merge.h"

namespace stnas::cpu::STNAS_ISA {

template <class T>
constexpr MixtureKernels<T> make() {
  return {[](const MixedNode<T>& p, T* out) { mix(p, out); },
          [](const MixedNode<T>& p, const MixedGradients<T>& to) { differentiate_mixture(p, to); },
          [](const MergedKernels<T>& p, T* out) { merge(p, out); },
          [](const MergedKernels<T>& p, const T* grad, T* const* to, T* shares) {
            differentiate_merge(p, grad, to, shares);
          }};
}

#define STNAS_TABLE(type)                                         \
  template <>                                                     \
  const MixtureKernels<type>& table() {                           \
    static constexpr MixtureKernels<type> kernels = make<type>(); \
    return kernels;                                               \
  }
STNAS_EACH_WIDE_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

// The layers of stem and tail for one instruction set.
#include "host/table.h"
#include "layers/cpu/convolution.h"
#include "layers/cpu/norm_act.h"
#include "layers/cpu/pool.h"

namespace stnas::cpu::STNAS_ISA {

template <class T>
constexpr LayerKernels<T> make() {
  return {
      [](const NormAct<T>& p, T* statistics, T* out) {
        with_activation(p.activation,
                        [&](auto act) { norm_act<decltype(act)>(p, statistics, out); });
      },
      [](const NormAct<T>& p, const T* statistics, const T* grad, T* grad_x, T* affine) {
        with_activation(p.activation, [&](auto act) {
          norm_act_gradient<decltype(act)>(p, statistics, grad, grad_x, affine);
        });
      },
      [](const Node<T>& node, T* out) { pool(node, out); },
      [](const Node<T>& node, const T* grad, T* to) { pool_gradient(node, grad, to); },
      [](const Convolution<T>& c, T* out) { convolve(c, out); },
      [](const Convolution<T>& c, const T* grad, T* to) { convolve_input_gradient(c, grad, to); },
      [](const Convolution<T>& c, const T* grad, T* to) { convolve_weight_gradient(c, grad, to); }};
}

#define STNAS_TABLE(type)                                       \
  template <>                                                   \
  const LayerKernels<type>& table() {                           \
    static constexpr LayerKernels<type> kernels = make<type>(); \
    return kernels;                                             \
  }
STNAS_EACH_WIDE_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

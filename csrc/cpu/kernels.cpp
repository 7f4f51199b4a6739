// All kernels for one instruction set. Compiled once per set, with its flags and -DSTNAS_ISA=<its
// name>.
#include "backward.h"
#include "inference.h"
#include "norm_act.h"

namespace stnas::cpu::STNAS_ISA {

// use(A{}) for the activation's type A.
template <class Use>
void with_activation(Activation activation, const Use& use) {
  switch (activation) {
    case Activation::relu: return use(Relu{});
    case Activation::relu6: return use(Relu6{});
    case Activation::hardswish: return use(Hardswish{});
    case Activation::silu: return use(Silu{});
  }
}

template <class T>
const Kernels<T>& table() {
  static constexpr Kernels<T> kernels{
      [](const Problem<T>& p, const Saved<T>& saved, const Target<T>& to) {
        with_activation(p.activation, [&](auto act) { forward<decltype(act)>(p, saved, to); });
      },
      [](const Problem<T>& p, const Saved<T>& saved, const T* grad, const Gradients<T>& to) {
        with_activation(p.activation,
                        [&](auto act) { backward<decltype(act)>(p, saved, grad, to); });
      },
      [](const Problem<T>& p, T* out) {
        with_activation(p.activation, [&](auto act) { inference<decltype(act)>(p, out); });
      },
      [](const Node<T>& node, T* to) { node_moments(node, to); },
      [](const NormAct<T>& p, T* statistics, T* out) {
        with_activation(p.activation,
                        [&](auto act) { norm_act<decltype(act)>(p, statistics, out); });
      },
      [](const NormAct<T>& p, const T* statistics, const T* grad, T* grad_x, T* affine) {
        with_activation(p.activation, [&](auto act) {
          norm_act_gradient<decltype(act)>(p, statistics, grad, grad_x, affine);
        });
      }};
  return kernels;
}

template <>
const Kernels<BFloat16>& table<BFloat16>() {
  static constexpr Kernels<BFloat16> kernels{
      [](const Problem<float, BFloat16>& p, BFloat16* out) {
        with_activation(p.activation, [&](auto act) { inference<decltype(act)>(p, out); });
      }};
  return kernels;
}

#ifndef __AVX512BF16__  // whose float kernels are those of avx512
template const Kernels<float>& table<float>();
#endif
#ifdef STNAS_PORTABLE
template const Kernels<double>& table<double>();
#endif

}  // namespace stnas::cpu::STNAS_ISA

// All kernels for one instruction set. Compiled once per set, with its flags and -DSTNAS_ISA=<its
// name>.
#include "bottleneck/cpu/backward.h"
#include "layers/cpu/convolution.h"
#include "bottleneck/cpu/inference.h"
#include "layers/cpu/norm_act.h"
#include "layers/cpu/pool.h"

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

template <class S>
const Kernels<S>& table() {
  using T = Wide<S>;
  static constexpr Kernels<S> kernels{
      [](const Problem<T, S>& p, const Saved<T, S>& saved, const Target<T, S>& to) {
        with_activation(p.activation, [&](auto act) { forward<decltype(act)>(p, saved, to); });
      },
      [](const Problem<T, S>& p, const Saved<T, S>& saved, const S* grad,
         const Gradients<T, S>& to) {
        with_activation(p.activation,
                        [&](auto act) { backward<decltype(act)>(p, saved, grad, to); });
      },
      [](const Problem<T, S>& p, S* out) {
        with_activation(p.activation, [&](auto act) { inference<decltype(act)>(p, out); });
      },
      [](const Node<T, S>& node, T* to) { node_moments(node, to); },
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
  return kernels;
}

template const Kernels<BFloat16>& table<BFloat16>();
#ifndef __AVX512BF16__  // whose float kernels are those of avx512
template const Kernels<float>& table<float>();
#endif
#ifdef STNAS_PORTABLE
template const Kernels<double>& table<double>();
#endif

}  // namespace stnas::cpu::STNAS_ISA

// The layers of stem and tail on the CPU.
#include "layers/convolution_operators.h"
#include "layers/norm_act_operators.h"
#include "layers/pool_operators.h"

namespace stnas::cpu {
namespace {

class Host {
 public:
  explicit Host(const Tensor&) {}

  template <class T>
  void norm_act(const NormAct<T>& p, T* statistics, T* out) const {
    kernels<LayerKernels<T>>().norm_act(p, statistics, out);
  }
  template <class T>
  void norm_act_gradient(const NormAct<T>& p, const T* statistics, const T* grad, T* grad_x,
                         T* affine) const {
    kernels<LayerKernels<T>>().norm_act_gradient(p, statistics, grad, grad_x, affine);
  }
};

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  stnas::cpu::implement_norm_act<stnas::cpu::Host>(ops);
  ops.impl("pool_forward", TORCH_BOX(&stnas::cpu::pool_forward));
  ops.impl("pool_backward", TORCH_BOX(&stnas::cpu::pool_backward));
  ops.impl("convolution_forward", TORCH_BOX(&stnas::cpu::convolution_forward));
  ops.impl("convolution_backward", TORCH_BOX(&stnas::cpu::convolution_backward));
}

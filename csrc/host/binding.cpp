// The operators on the CPU.
#include "host/binding.h"

#include "layers/convolution_operators.h"
#include "bottleneck/gradient_operators.h"
#include "host/instruction_set.h"
#include "layers/norm_act_operators.h"
#include "bottleneck/operators.h"
#include "bottleneck/path_gradient.h"
#include "layers/pool_operators.h"
#include "bottleneck/cpu/running.h"
#include "host/scratch.h"

namespace stnas::cpu {
namespace {

class Host {
 public:
  explicit Host(const Tensor&) {}

  template <class T, class S>
  void train(const Problem<T, S>& p, const Saved<T, S>& saved, const Target<T, S>& to) const {
    kernels<S>().forward(p, saved, to);
  }
  template <class S>
  Saved<Wide<S>, S> borrow(const Shape& s) const {
    return take_saved<S>(
        s, [&](auto zero, index count) { return scratch_.take<decltype(zero)>(count); });
  }
  template <class T, class S>
  void move_running(const Problem<T, S>& p, const T* statistics, const Tensors& running,
                    double momentum) const {
    const auto at = [&](int i) { return data<T>(running[i]); };
    cpu::move_running(p.shape, statistics, {at(0), at(2), at(4)}, {at(1), at(3), at(5)}, momentum);
  }
  template <class T, class S>
  void infer(const Problem<T, S>& p, S* out) const {
    kernels<S>().inference(p, out);
  }
  template <class T, class S>
  void moments(const Node<T, S>& node, T* to) const {
    kernels<S>().moments(node, to);
  }
  template <class T, class S>
  void differentiate(const Problem<T, S>& p, const Saved<T, S>& saved, const S* grad,
                     const Gradients<T, S>& to) const {
    kernels<S>().backward(p, saved, grad, to);
  }
  template <class S>
  void sum(const ImageSum<S>& of) const {
    sum_images(of, kExecutor);
  }
  template <class T>
  void norm_act(const NormAct<T>& p, T* statistics, T* out) const {
    kernels<T>().norm_act(p, statistics, out);
  }
  template <class T>
  void norm_act_gradient(const NormAct<T>& p, const T* statistics, const T* grad, T* grad_x,
                         T* affine) const {
    kernels<T>().norm_act_gradient(p, statistics, grad, grad_x, affine);
  }

 private:
  mutable Scratch scratch_;
};

std::string isa() { return instruction_set(); }

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  using stnas::cpu::Host;
  ops.impl("linear_bottleneck_forward",
           TORCH_BOX(&stnas::cpu::linear_bottleneck_forward<Host>));
  ops.impl("linear_bottleneck_add_", TORCH_BOX(&stnas::cpu::linear_bottleneck_add<Host>));
  ops.impl("linear_bottleneck_backward",
           TORCH_BOX(&stnas::cpu::linear_bottleneck_backward<Host>));
  ops.impl("linear_bottleneck_inference",
           TORCH_BOX(&stnas::cpu::linear_bottleneck_inference<Host>));
  ops.impl("linear_bottleneck_path", TORCH_BOX(&stnas::cpu::linear_bottleneck_path<Host>));
  ops.impl("linear_bottleneck_path_backward",
           TORCH_BOX(&stnas::cpu::linear_bottleneck_path_backward<Host>));
  ops.impl("node_moments", TORCH_BOX(&stnas::cpu::node_moments<Host>));
  ops.impl("norm_act_forward", TORCH_BOX(&stnas::cpu::norm_act_forward<Host>));
  ops.impl("norm_act_backward", TORCH_BOX(&stnas::cpu::norm_act_backward<Host>));
  ops.impl("pool_forward", TORCH_BOX(&stnas::cpu::pool_forward));
  ops.impl("pool_backward", TORCH_BOX(&stnas::cpu::pool_backward));
  ops.impl("convolution_forward", TORCH_BOX(&stnas::cpu::convolution_forward));
  ops.impl("convolution_backward", TORCH_BOX(&stnas::cpu::convolution_backward));
}

STABLE_TORCH_LIBRARY_IMPL(stnas, CompositeExplicitAutograd, ops) {
  ops.impl("isa", TORCH_BOX(&stnas::cpu::isa));
}

// The choice block on the CPU.
#include "bottleneck/cpu/running.h"
#include "bottleneck/operators.h"
#include "bottleneck/path_gradient.h"
#include "host/dispatch.h"
#include "host/scratch.h"

namespace stnas::cpu {
namespace {

class Host {
 public:
  explicit Host(const Tensor&) {}

  template <class T, class S>
  void train(const Problem<T, S>& p, const Saved<T, S>& saved, const Target<T, S>& to) const {
    kernels<ForwardKernels<S>>().train(p, saved, to);
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
    kernels<InferenceKernels<S>>().infer(p, out);
  }
  template <class T, class S>
  void moments(const Node<T, S>& node, T* to) const {
    kernels<ForwardKernels<S>>().moments(node, to);
  }
  template <class T, class S>
  void differentiate(const Problem<T, S>& p, const Saved<T, S>& saved, const S* grad,
                     const Gradients<T, S>& to) const {
    kernels<BackwardKernels<S>>().differentiate(p, saved, grad, to);
  }
  template <class S>
  void sum(const ImageSum<S>& of) const {
    sum_images(of, kExecutor);
  }

 private:
  mutable Scratch scratch_;
};

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  stnas::cpu::implement_bottleneck<stnas::cpu::Host>(ops);
}

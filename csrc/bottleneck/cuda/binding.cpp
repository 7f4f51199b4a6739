// The choice block on a device.
#include "bottleneck/cuda/launchers.h"
#include "bottleneck/path_gradient.h"
#include "device/lender.h"

namespace stnas::cuda {
namespace {

using cpu::Gradients;
using cpu::Node;
using cpu::Problem;
using cpu::Saved;
using cpu::Shape;
using cpu::Target;
using torch::stable::Tensor;

class Block : public Lender {
 public:
  using Lender::Lender;

  template <class T, class S>
  void train(const Problem<T, S>& p, const Saved<T, S>& saved, const Target<T, S>& to) const {
    const Shape& s = p.shape;
    check(to.others <= 16, "also must hold at most 16 tensors on a CUDA device, got ", to.others);
    lend(p);
    lend(s, saved, false);
    const int64_t values = s.images * s.out_pixels() * s.out;
    lend(to.out, values, "into", to.add);
    for (int64_t i = 0; i < to.others; ++i) lend(to.also[i], values, "also", true);
    if (to.moments) lend(to.moments, (1 + s.out) * s.out, "gathered moments", false);
    BottleneckForward<S>::train(p, saved, to, workspace(), stream());
  }

  template <class S>
  Saved<cpu::Wide<S>, S> borrow(const Shape& s) const {
    borrowed_.push_back(cpu::allocate(like(), s));
    return borrowed_.back().template pointers<S>();
  }

  template <class T, class S>
  void move_running(const Problem<T, S>& p, const T* statistics, const cpu::Tensors& running,
                    double momentum) const {
    T* pointers[6];
    for (int i = 0; i < 6; ++i) {
      pointers[i] = cpu::data<T>(running[i]);
      lend(pointers[i], running[i].numel(), "running", true);
    }
    BottleneckForward<S>::move_running(p, statistics, pointers, momentum, stream());
  }

  template <class T, class S>
  void infer(const Problem<T, S>& p, S* out) const {
    const Shape& s = p.shape;
    lend(p);
    for (int i = 0; i < 3; ++i) {
      lend(p.norms[i].mean, i < 2 ? s.hidden : s.out, "running_mean", true);
      lend(p.norms[i].var, i < 2 ? s.hidden : s.out, "running_var", true);
    }
    lend(out, s.images * s.out_pixels() * s.out, "out", false);
    BottleneckForward<S>::infer(p, out, workspace(), stream());
  }

  template <class T, class S>
  void moments(const Node<T, S>& node, T* to) const {
    lend(node.x, node.images * node.height * node.width * node.channels, "x", true);
    lend(to, (1 + node.channels) * node.channels, "moments", false);
    NodeMoments<S>::run(node, to, workspace(), stream());
  }

  template <class T, class S>
  void differentiate(const Problem<T, S>& p, const Saved<T, S>& saved, const S* grad,
                     const Gradients<T, S>& to) const {
    const Shape& s = p.shape;
    lend(p);
    lend(s, saved, true);
    lend(grad, s.images * s.out_pixels() * s.out, "grad", true);
    lend(to.x, s.images * s.pixels() * s.in, "grad_x", to.add_x);
    lend_weights(s,
                 cpu::Weights<T>{to.expand, to.depthwise, to.squeeze_weight, to.squeeze_bias,
                                 to.excite_weight, to.excite_bias, to.project},
                 false);
    lend(to.affine, 4 * s.hidden + 2 * s.out, "affine gradients", false);
    BottleneckBackward<S>::run(p, saved, grad, to, workspace(), stream());
  }

  template <class S>
  void sum(const cpu::ImageSum<S>& of) const {
    check(of.count <= 16, "at most 16 images can be added on a CUDA device, got ", of.count);
    const int64_t values = of.rows * of.channels;
    lend(of.out, values, "sum", of.in_place());
    for (int64_t i = 0; i < of.count; ++i) lend(of.parts[i], values, "part", true);
    sum_images(of, stream());
  }

 private:
  using Lender::lend;
  template <class T, class S>
  void lend(const Problem<T, S>& p) const {
    const Shape& s = p.shape;
    lend(p.x, s.images * s.pixels() * s.in, "x", true);
    lend_weights(s, p.weights, true);
    for (int i = 0; i < 3; ++i) {
      lend(p.norms[i].weight, i < 2 ? s.hidden : s.out, "affine weight", true);
      lend(p.norms[i].bias, i < 2 ? s.hidden : s.out, "affine bias", true);
    }
    lend(p.moments, (1 + s.in) * s.in, "moments", true);
  }
  template <class T>
  void lend_weights(const Shape& s, const cpu::Weights<T>& w, bool written) const {
    lend(w.expand, s.hidden * s.in, "expand", written);
    lend(w.depthwise, s.hidden * s.kernel * s.kernel, "depthwise", written);
    lend(w.squeeze_weight, s.squeeze * s.hidden, "squeeze_weight", written);
    lend(w.squeeze_bias, s.squeeze, "squeeze_bias", written);
    lend(w.excite_weight, s.hidden * s.squeeze, "excite_weight", written);
    lend(w.excite_bias, s.hidden, "excite_bias", written);
    lend(w.project, s.out * s.hidden, "project", written);
  }
  template <class T, class S>
  void lend(const Shape& s, const Saved<T, S>& saved, bool written) const {
    lend(saved.statistics, 4 * s.hidden + 2 * s.out, "statistics", written);
    lend(saved.hidden, s.images * s.out_pixels() * s.padded(), "hidden", written);
    lend(saved.projected, s.images * s.out_pixels() * s.out, "projected", written);
    lend(saved.excitation, s.images * s.excitation(), "excitation", written);
    if (s.stores_expanded()) {
      lend(saved.expanded, s.images * s.pixels() * s.padded(), "expanded", written);
    } else {
      lend(saved.moments, (1 + s.hidden) * s.in, "saved moments", written);
    }
  }
  mutable std::vector<cpu::SavedTensors> borrowed_;
};

}  // namespace
}  // namespace stnas::cuda

STABLE_TORCH_LIBRARY_IMPL(STNAS_DEVICE_LIBRARY, STNAS_DEVICE_KEY, ops) {
  stnas::cpu::implement_bottleneck<stnas::cuda::Block>(ops);
}

// The gradient of an architecture: its blocks in reverse, each adding to that of its source.
#pragma once

#include "bottleneck/path.h"

namespace stnas::cpu {

template <class Device>
class PathBackward {
 public:
  PathBackward(const Tensor& grad, const Tensor& x, const Tensors& values,
               const PathParameters& parameters, const Tensors& kept, PathPlan plan,
               const std::string& activation)
      : x_(x),
        values_(values),
        parameters_(parameters),
        kept_(kept),
        plan_(std::move(plan)),
        activation_(activation),
        grads_(size_t(plan_.values)) {
    parameters.check(plan_);
    check_count("kept", kept.size(), plan_.blocks, 1);
    check(values.size() + 2 == size_t(plan_.values), "values must hold all but x and the last, ",
          plan_.values - 2, ", got ", values.size());
    check_values(x);
    grads_.back() = grad;
  }

  // The gradient of x, and the gradients of each block that a gradient reaches, in their order.
  std::tuple<Tensor, Tensors> run() {
    std::vector<Backward> found;
    for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
      Maybe& of_target = grads_[size_t(step->target)];
      if (!of_target) continue;
      if (step->divisor > 1) of_target = added(std::nullopt, *of_target, step->divisor);
      const Tensor grad = *of_target;
      if (!step->add) of_target.reset();
      for (index other : step->also) add(other, grad);
      step->is_block() ? found.push_back(differentiate_block(*step, grad))
                       : add(step->source, grad);
    }
    Tensors flat;
    for (auto block = found.rbegin(); block != found.rend(); ++block) {
      std::apply([&](auto&... part) { flat.insert(flat.end(), {part...}); }, *block);
      if (parameters_.affine.empty()) flat.pop_back();
    }
    return {*grads_[0], flat};
  }

 private:
  const Tensor& value(index i) const { return i ? values_[size_t(i - 1)] : x_; }

  void add(index node, const Tensor& grad) {
    Maybe& to = grads_[size_t(node)];
    to = added(to, grad, 1);
  }

  // ([to +] grad) / divisor, in place where there is a sum.
  static Tensor added(const Maybe& to, const Tensor& grad, index divisor) {
    const Tensor out = to ? *to : image_beside(grad);
    check_target(grad, "grad", out, sizes_of(out));
    sum<Device>(out, to ? Tensors{out, grad} : Tensors{grad}, divisor);
    return out;
  }

  Backward differentiate_block(const PathStep& step, const Tensor& grad) {
    const Tensor& x = value(step.source);
    const Affine affine = parameters_.affine_of(step);
    const Block block = parameters_.block(step, x, affine, activation_);
    Maybe& grad_x = grads_[size_t(step.source)];
    const bool add = grad_x.has_value();
    if (!add) grad_x = image_beside(x);
    return differentiate<Device>(block, grad, SavedPiece{kept_[step.block], block.shape}, *grad_x,
                                 add);
  }

  const Tensor& x_;
  const Tensors& values_;
  PathParameters parameters_;
  const Tensors& kept_;
  PathPlan plan_;
  const std::string& activation_;
  std::vector<Maybe> grads_;  // of the values
};

template <class Device>
std::tuple<Tensor, Tensors> linear_bottleneck_path_backward(
    const Tensor& grad, const Tensor& x, const Tensors& values, const Tensors& weights,
    const Affine& affine, const Tensors& kept, const std::vector<index>& plan,
    const std::string& activation) {
  return PathBackward<Device>(grad, x, values, {weights, affine}, kept, PathPlan(plan), activation)
      .run();
}

// Registers the operators of the choice block with the kernels of a Device.
template <class Device, class Library>
void implement_bottleneck(Library& ops) {
  ops.impl("linear_bottleneck_add_", TORCH_BOX(&linear_bottleneck_add<Device>));
  ops.impl("linear_bottleneck_backward", TORCH_BOX(&linear_bottleneck_backward<Device>));
  ops.impl("linear_bottleneck_inference", TORCH_BOX(&linear_bottleneck_inference<Device>));
  ops.impl("linear_bottleneck_path", TORCH_BOX(&linear_bottleneck_path<Device>));
  ops.impl("linear_bottleneck_path_backward", TORCH_BOX(&linear_bottleneck_path_backward<Device>));
  ops.impl("node_moments", TORCH_BOX(&node_moments<Device>));
}

}  // namespace stnas::cpu

// The gradients of the choice block on every device: check, allocate, let the device do the work.
#pragma once

#include <tuple>

#include "bottleneck/saved.h"

namespace stnas::cpu {

using Backward = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

// Gradients of the weights and of the affine parameters; that of x goes to grad_x. saved: has the
// pointers of a Saved.
template <class Device, class Kept>
Backward differentiate(const Block& block, const Tensor& grad, const Kept& saved,
                       const Tensor& grad_x, bool add) {
  const Tensor& x = block.x;
  const Shape& s = block.shape;
  check_target(grad, "grad", x, block.out_sizes());
  saved.check(x, s);
  return with_type(x, [&](auto zero) -> Backward {
    using S = decltype(zero);
    using T = Wide<S>;
    const auto p = block.problem<S>();
    const WeightTensors& w = block.weights;
    const auto same = [&](const Tensor& tensor) { return like_sums(x, sizes_of(tensor)); };
    Backward to{same(w.expand),         same(w.depthwise),
                same(w.squeeze_weight), same(w.squeeze_bias),
                same(w.excite_weight),  same(w.excite_bias),
                same(w.project),        like_sums(x, {4 * s.hidden + 2 * s.out})};
    const auto pointers = std::apply(
        [&](auto&... part) { return Gradients<T, S>{data<S>(grad_x), data<T>(part)..., add}; }, to);
    Device(x).differentiate(p, saved.template pointers<S>(), data<S>(grad), pointers);
    return to;
  });
}

template <class Device>
std::tuple<Tensor, Tensors> linear_bottleneck_backward(const Tensor& grad, const Tensor& x,
                                                       const Tensors& weights, const Affine& affine,
                                                       const Tensors& kept, index stride,
                                                       const std::string& activation,
                                                       bool residual) {
  const Block block{x, check_weights(weights), affine, stride, activation, residual};
  const Shape& s = block.shape;
  check(kept.size() == 5, "kept must hold 5 tensors, got ", kept.size());
  const Tensor grad_x = image_like(x, {s.images, s.in, s.height, s.width});
  const SavedTensors saved{kept[0], kept[1], kept[2], kept[3], kept[4]};
  return {grad_x, std::apply([](const auto&... part) { return Tensors{part...}; },
                             differentiate<Device>(block, grad, saved, grad_x, false))};
}

}  // namespace stnas::cpu

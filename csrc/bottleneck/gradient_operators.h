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
    Backward to{same(w.expand), same(w.depthwise), same(w.squeeze_weight), same(w.squeeze_bias),
                same(w.excite_weight), same(w.excite_bias), same(w.project),
                like_sums(x, {4 * s.hidden + 2 * s.out})};
    const auto pointers = std::apply(
        [&](auto&... part) { return Gradients<T, S>{data<S>(grad_x), data<T>(part)..., add}; },
        to);
    Device(x).differentiate(p, saved.template pointers<S>(), data<S>(grad), pointers);
    return to;
  });
}

template <class Device>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>
linear_bottleneck_backward(const Tensor& grad, const Tensor& x, const Tensor& expand,
                           const Tensor& depthwise, const Tensor& squeeze_weight,
                           const Tensor& squeeze_bias, const Tensor& excite_weight,
                           const Tensor& excite_bias, const Tensor& project, const Affine& affine,
                           const Tensor& statistics, const Tensor& hidden, const Tensor& projected,
                           const Tensor& excitation, const Tensor& expanded, index stride,
                           const std::string& activation, bool residual) {
  const Block block{x, {expand, depthwise, squeeze_weight, squeeze_bias, excite_weight,
                        excite_bias, project}, affine, stride, activation, residual};
  const Shape& s = block.shape;
  const Tensor grad_x = image_like(x, {s.images, s.in, s.height, s.width});
  const SavedTensors saved{statistics, hidden, projected, excitation, expanded};
  return std::tuple_cat(std::make_tuple(grad_x),
                        differentiate<Device>(block, grad, saved, grad_x, false));
}

}  // namespace stnas::cpu

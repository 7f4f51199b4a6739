// The training forms on the CPU: check, allocate, call the kernels.
#include <tuple>

#include "binding.h"
#include "running.h"
#include "scratch.h"

namespace stnas::cpu {
namespace {

using Tensors = std::vector<Tensor>;

// What the gradient needs, in the order of the schema.
struct SavedTensors {
  Tensor statistics, hidden, projected, excitation, expanded;

  template <class S>
  Saved<Wide<S>, S> pointers() const {
    using T = Wide<S>;
    return {data<T>(statistics), data<S>(hidden),   data<S>(projected),
            data<T>(excitation), data<S>(expanded), data<T>(expanded)};
  }
};

struct SavedSizes {
  std::vector<index> statistics, hidden, projected, excitation, expanded;

  explicit SavedSizes(const Shape& s)
      : statistics{4 * s.hidden + 2 * s.out},
        hidden{s.images, s.blocks(), s.out_pixels(), kBlock},
        projected{s.images, s.out_pixels(), s.out},
        excitation{s.images, s.excitation()},
        expanded{1 + s.hidden, s.in} {
    if (s.stores_expanded()) expanded = {s.images, s.blocks(), s.pixels(), kBlock};
  }
};

SavedTensors allocate(const Tensor& x, const Shape& s) {
  const SavedSizes sizes(s);
  return {like_sums(x, sizes.statistics), like(x, sizes.hidden), like(x, sizes.projected),
          like_sums(x, sizes.excitation),
          s.stores_expanded() ? like(x, sizes.expanded) : like_sums(x, sizes.expanded)};
}

template <class S>
Saved<Wide<S>, S> borrow(Scratch& scratch, const Shape& s) {
  using T = Wide<S>;
  const SavedSizes sizes(s);
  const auto take = [&](auto zero, const std::vector<index>& size) {
    index count = 1;
    for (index length : size) count *= length;
    return scratch.take<decltype(zero)>(count);
  };
  const bool stored = s.stores_expanded();
  return {take(T{}, sizes.statistics),
          take(S{}, sizes.hidden),
          take(S{}, sizes.projected),
          take(T{}, sizes.excitation),
          stored ? take(S{}, sizes.expanded) : nullptr,
          stored ? nullptr : take(T{}, sizes.expanded)};
}

using Forward = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

Forward linear_bottleneck_forward(const Tensor& x, const Tensor& expand, const Tensor& depthwise,
                                  const Tensor& squeeze_weight, const Tensor& squeeze_bias,
                                  const Tensor& excite_weight, const Tensor& excite_bias,
                                  const Tensor& project, const Maybe& weight1,
                                  const Maybe& bias1, const Maybe& weight2, const Maybe& bias2,
                                  const Maybe& weight3, const Maybe& bias3, index stride,
                                  const std::string& activation, bool residual) {
  const Affine affine{weight1, bias1, weight2, bias2, weight3, bias3};
  const Block block{x, {expand, depthwise, squeeze_weight, squeeze_bias, excite_weight,
                        excite_bias, project}, affine, stride, activation, residual};
  return with_type(x, [&](auto zero) -> Forward {
    using S = decltype(zero);
    const auto p = block.problem<S>();
    const Tensor out = image_like(x, block.out_sizes());
    const SavedTensors saved = allocate(x, block.shape);
    kernels<S>().forward(p, saved.pointers<S>(), {data<S>(out)});
    return {out, saved.statistics, saved.hidden, saved.projected, saved.excitation, saved.expanded};
  });
}

// Moves the running statistics, which p's norms point at, to those of the batch.
template <class T, class S>
void move_running(const Problem<T, S>& p, const Tensors& running, const T* statistics,
                  double momentum) {
  const Shape& s = p.shape;
  check(s.images * s.out_pixels() > 1, "x must give more than 1 value per channel, got 1");
  const auto at = [&](int i) { return data<T>(running[i]); };
  move_running(s, statistics, {at(0), at(2), at(4)}, {at(1), at(3), at(5)}, momentum);
}

Forward linear_bottleneck_add(const Tensor& x, const Maybe& moments, const Tensor& expand,
                              const Tensor& depthwise, const Tensor& squeeze_weight,
                              const Tensor& squeeze_bias, const Tensor& excite_weight,
                              const Tensor& excite_bias, const Tensor& project,
                              const Affine& affine, const Tensors& running, double momentum,
                              const Tensor& into, bool add, const Tensors& also, double divisor,
                              index stride, const std::string& activation, bool residual,
                              bool keep, bool gather) {
  const Block block{x, {expand, depthwise, squeeze_weight, squeeze_bias, excite_weight,
                        excite_bias, project}, affine, stride, activation, residual};
  const Shape& s = block.shape;
  check_target(into, "into", x, block.out_sizes());
  for (const Tensor& other : also) check_target(other, "also", x, block.out_sizes());
  return with_type(x, [&](auto zero) -> Forward {
    using S = decltype(zero);
    using T = Wide<S>;
    auto p = block.problem<S>();
    if (!running.empty()) set_running(p, running, x);
    if (moments) {
      check_type(*moments, "moments", x);
      check_size(*moments, "moments", {1 + s.in, s.in});
      p.moments = data<T>(*moments);
    }
    std::vector<const S*> others;
    for (const Tensor& other : also) others.push_back(data<S>(other));
    const Tensor none = like(x, {0});
    const Tensor gathered = gather ? like_sums(x, {1 + s.out, s.out}) : none;
    const SavedTensors kept = keep ? allocate(x, s) : SavedTensors{none, none, none, none, none};
    Scratch scratch;
    const Saved<T, S> saved = keep ? kept.pointers<S>() : borrow<S>(scratch, s);
    kernels<S>().forward(p, saved,
                         {data<S>(into), add, others.data(), index(others.size()), T(divisor),
                          gather ? data<T>(gathered) : nullptr});
    if (!running.empty()) move_running(p, running, saved.statistics, momentum);
    return {kept.statistics, kept.hidden, kept.projected, kept.excitation, kept.expanded, gathered};
  });
}

using Backward = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

// Gradients of the weights and of the affine parameters; that of x goes to grad_x.
Backward differentiate(const Block& block, const Tensor& grad, const SavedTensors& saved,
                       const Tensor& grad_x, bool add) {
  const Tensor& x = block.x;
  const Shape& s = block.shape;
  const SavedSizes sizes(s);
  check_target(grad, "grad", x, block.out_sizes());
  check_size(saved.statistics, "statistics", sizes.statistics);
  check_size(saved.hidden, "hidden", sizes.hidden);
  check_size(saved.projected, "projected", sizes.projected);
  check_size(saved.excitation, "excitation", sizes.excitation);
  check_size(saved.expanded, "expanded", sizes.expanded);
  return with_type(x, [&](auto zero) -> Backward {
    using S = decltype(zero);
    using T = Wide<S>;
    const auto p = block.problem<S>();
    const WeightTensors& w = block.weights;
    const auto same = [](const Tensor& tensor) { return torch::stable::empty_like(tensor); };
    Backward to{same(w.expand), same(w.depthwise), same(w.squeeze_weight), same(w.squeeze_bias),
                same(w.excite_weight), same(w.excite_bias), same(w.project),
                like_sums(x, sizes.statistics)};
    const auto pointers = std::apply(
        [&](auto&... part) { return Gradients<T, S>{data<S>(grad_x), data<T>(part)..., add}; },
        to);
    kernels<S>().backward(p, saved.pointers<S>(), data<S>(grad), pointers);
    return to;
  });
}

Backward linear_bottleneck_backward_add(
    const Tensor& grad, const Tensor& x, const Tensor& expand, const Tensor& depthwise,
    const Tensor& squeeze_weight, const Tensor& squeeze_bias, const Tensor& excite_weight,
    const Tensor& excite_bias, const Tensor& project, const Affine& affine,
    const Tensor& statistics, const Tensor& hidden, const Tensor& projected,
    const Tensor& excitation, const Tensor& expanded, const Tensor& grad_x, bool add, index stride,
    const std::string& activation, bool residual) {
  const Block block{x, {expand, depthwise, squeeze_weight, squeeze_bias, excite_weight,
                        excite_bias, project}, affine, stride, activation, residual};
  const Shape& s = block.shape;
  check_target(grad_x, "grad_x", x, {s.images, s.in, s.height, s.width});
  return differentiate(block, grad, {statistics, hidden, projected, excitation, expanded}, grad_x,
                       add);
}

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
                        differentiate(block, grad, saved, grad_x, false));
}

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("linear_bottleneck_forward", TORCH_BOX(&stnas::cpu::linear_bottleneck_forward));
  ops.impl("linear_bottleneck_add_", TORCH_BOX(&stnas::cpu::linear_bottleneck_add));
  ops.impl("linear_bottleneck_backward", TORCH_BOX(&stnas::cpu::linear_bottleneck_backward));
  ops.impl("linear_bottleneck_backward_add_",
           TORCH_BOX(&stnas::cpu::linear_bottleneck_backward_add));
}

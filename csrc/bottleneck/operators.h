// The operators of the choice block on every device: check, allocate, let the device do the work.
//
// A Device is made of x and has train, borrow, move_running, infer, moments and differentiate, with
// the arguments of `Kernels`; `borrow` lends the tensors of a Saved for as long as the Device lives.
#pragma once

#include <tuple>

#include "bottleneck/saved.h"

namespace stnas::cpu {

using Tensors = std::vector<Tensor>;
using Forward = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

template <class Device>
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
    Device(x).train(p, saved.pointers<S>(), {data<S>(out)});
    return {out, saved.statistics, saved.hidden, saved.projected, saved.excitation, saved.expanded};
  });
}

// Where a training pass goes: into = ([into +] block [+ also...]) / divisor, which moves the running
// statistics, none or those of the three BN, by momentum.
struct Destination {
  const Tensor& into;
  bool add;
  const Tensors& also;
  double divisor;
  const Tensors& running;
  double momentum;
};

// Adds a block to a node. kept: has the pointers of a Saved, null where there is no gradient.
// moments: `node_moments` of x, where known. gathered: gets those of the new node, where wanted.
template <class Device, class Kept>
void add_block(const Block& block, const Destination& to, const Kept* kept,
               const Tensor* moments, const Tensor* gathered) {
  const Tensor& x = block.x;
  const Shape& s = block.shape;
  check_target(to.into, "into", x, block.out_sizes());
  for (const Tensor& other : to.also) check_target(other, "also", x, block.out_sizes());
  with_type(x, [&](auto zero) {
    using S = decltype(zero);
    using T = Wide<S>;
    auto p = block.problem<S>();
    if (!to.running.empty()) set_running(p, to.running, x);
    if (moments) {
      check_type(*moments, "moments", x);
      check_size(*moments, "moments", {1 + s.in, s.in});
      p.moments = data<T>(*moments);
    }
    std::vector<const S*> others;
    for (const Tensor& other : to.also) others.push_back(data<S>(other));
    const Device device(x);
    const Saved<T, S> saved = kept ? kept->template pointers<S>() : device.template borrow<S>(s);
    device.train(p, saved,
                 {data<S>(to.into), to.add, others.data(), index(others.size()), T(to.divisor),
                  gathered ? data<T>(*gathered) : nullptr});
    if (!to.running.empty()) {
      check(s.images * s.out_pixels() > 1, "x must give more than 1 value per channel, got 1");
      device.move_running(p, saved.statistics, to.running, to.momentum);
    }
  });
}

template <class Device>
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
  const Tensor none = like(x, {0});
  const Tensor gathered = gather ? like_sums(x, {1 + s.out, s.out}) : none;
  const SavedTensors kept = keep ? allocate(x, s) : SavedTensors{none, none, none, none, none};
  add_block<Device>(block, {into, add, also, divisor, running, momentum}, keep ? &kept : nullptr,
                    moments ? &*moments : nullptr, gather ? &gathered : nullptr);
  return {kept.statistics, kept.hidden, kept.projected, kept.excitation, kept.expanded, gathered};
}

template <class Device>
Tensor linear_bottleneck_inference(const Tensor& x, const Tensor& expand, const Tensor& depthwise,
                                   const Tensor& squeeze_weight, const Tensor& squeeze_bias,
                                   const Tensor& excite_weight, const Tensor& excite_bias,
                                   const Tensor& project, const Affine& affine,
                                   const std::vector<Tensor>& running, index stride,
                                   const std::string& activation, bool residual) {
  const Block block{x, {expand, depthwise, squeeze_weight, squeeze_bias, excite_weight,
                        excite_bias, project}, affine, stride, activation, residual};
  return with_type(x, [&](auto zero) {
    using S = decltype(zero);
    auto p = block.problem<S>();
    set_running(p, running, x);
    Tensor out = image_like(x, block.out_sizes());
    Device(x).infer(p, data<S>(out));
    return out;
  });
}

template <class Device>
Tensor node_moments(const Tensor& x) {
  check_values(x);
  check_image(x, "x", sizes_of(x));
  return with_type(x, [&](auto zero) {
    using S = decltype(zero);
    Tensor moments = like_sums(x, {1 + x.size(1), x.size(1)});
    const Node<Wide<S>, S> node{data<S>(x), x.size(0), x.size(2), x.size(3), x.size(1), kExecutor};
    Device(x).moments(node, data<Wide<S>>(moments));
    return moments;
  });
}

}  // namespace stnas::cpu

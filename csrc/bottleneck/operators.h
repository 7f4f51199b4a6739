// The operators of the choice block on every device: check, allocate, let the device do the work.
//
// A Device is made of x and has train, borrow, move_running, infer, moments and differentiate, with
// the arguments of `Kernels`; `borrow` lends the tensors of a Saved for as long as the Device
// lives.
#pragma once

#include <tuple>

#include "bottleneck/saved.h"

namespace stnas::cpu {

// Where a training pass goes: into = ([into +] block [+ also...]) / divisor, which moves the
// running statistics, none or those of the three BN, by momentum.
struct Destination {
  const Tensor& into;
  bool add;
  Tensors also;
  double divisor;
  const Tensors& running;
  double momentum;
};

// Adds a block to a node. kept: has the pointers of a Saved, null where there is no gradient.
// moments: `node_moments` of x, where known. gathered: gets those of the new node, where wanted.
template <class Device, class Memory>
void add_block(const Block& block, const Destination& to, const Memory* kept, const Tensor* moments,
               const Tensor* gathered) {
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

using Kept = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;

template <class Device>
Kept linear_bottleneck_add(const Tensor& x, const Maybe& moments, const Tensors& weights,
                           const Affine& affine, const Tensors& running, double momentum,
                           const Tensor& into, bool add, index stride,
                           const std::string& activation, bool residual, bool keep) {
  const Block block{x, check_weights(weights), affine, stride, activation, residual};
  const Destination to{into, add, {}, 1, running, momentum};
  const Tensor* known = moments ? &*moments : nullptr;
  const auto none = [&] { return like(x, {0}); };
  const SavedTensors kept =
      keep ? allocate(x, block.shape) : SavedTensors{none(), none(), none(), none(), none()};
  add_block<Device>(block, to, keep ? &kept : nullptr, known, nullptr);
  return {kept.statistics, kept.hidden, kept.projected, kept.excitation, kept.expanded};
}

template <class Device>
Tensor linear_bottleneck_inference(const Tensor& x, const Tensors& weights, const Affine& affine,
                                   const Tensors& running, index stride,
                                   const std::string& activation, bool residual) {
  const Block block{x, check_weights(weights), affine, stride, activation, residual};
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

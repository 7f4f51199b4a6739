// The gradient of a depthwise convolution in one sweep: dW = u * dv and du = W * dv, block by block
// in the cache, where u is the layer's input.
#pragma once

#include "shuffle/cpu/gradient_pointwise.h"

namespace stnas::cpu::STNAS_ISA {

template <class T>
struct DepthwiseSweep {
  const HeadLayer<T>& layer;
  const Plan& plan;
  const T* taps;
  DepthwiseGradient<T> depthwise;
  const Before<T>& before;
};

// Everything of one unit that does not depend on the block.
template <class T>
struct DepthwisePlanes {
  Range inputs, outputs;
  Layout input, output;
  T *u, *dv, *ones;
};

// ones: slopes of an input that no ReLU stands before.
template <class T>
DepthwisePlanes<T> take_depthwise(Scratch& scratch, const Plan& plan, const Unit& unit,
                                  bool is_first) {
  DepthwisePlanes<T> to;
  const Range reads = plan.inputs(unit);
  to.inputs = {least(reads.begin, unit.owned.begin), most(reads.end, unit.owned.end)};
  to.outputs = plan.outputs(unit);
  to.input = input_layout<T>(plan.shape, unit.images, to.inputs);
  to.output = output_layout<T>(plan.shape, unit.images, to.outputs);
  to.u = take_planes<T>(scratch, to.input, 1);
  to.dv = take_planes<T>(scratch, to.output, 1);
  to.ones = nullptr;
  if (is_first) {
    to.ones = scratch.take<T>(to.input.vectors() * kLanes);
    for (index i = 0; i < to.input.vectors() * kLanes; ++i) to.ones[i] = T(1);
  }
  return to;
}

// One unit; weight += [block][K, K][16].
template <class Gradient, class From, class T>
void depthwise_gradient_unit(const DepthwiseSweep<T>& sweep, const Gradient& gradient,
                             const From& from, const Unit& unit, T* weight) {
  const HeadLayer<T>& layer = sweep.layer;
  const index taps = layer.kernel * layer.kernel, run = unit.owned.count() * layer.width;
  const bool is_first = !sweep.before.layer;
  Scratch scratch;
  const auto at = take_depthwise<T>(scratch, sweep.plan, unit, is_first);
  T* buffer = is_first ? scratch.take<T>(layer.blocks() * unit.images * run * kLanes) : nullptr;
  for (index b = 0; b < layer.blocks(); ++b) {
    fill_planes(from, unit, at.input, b, at.u);
    fill_planes(gradient, unit, at.output, b, at.dv);
    for (index n = 0; n < unit.images; ++n) {
      const auto u = at.input.template plane<const T>(at.u, n);
      const auto dv = at.output.template plane<const T>(at.dv, n);
      const auto slope = is_first ? at.input.template plane<const T>(at.ones, n) : u;
      T* du = is_first ? buffer + (b * unit.images + n) * run * kLanes
                       : sweep.before.given.dz +
                             (((unit.image + n) * layer.blocks() + b) * layer.pixels() +
                              unit.owned.begin * layer.width) *
                                 kLanes;
      sweep.depthwise.weight(u, layer.height, unit.rows.begin, unit.rows.end, layer.out_width(), dv,
                             weight + b * taps * kLanes);
      sweep.depthwise.data(dv, layer.out_height(), unit.owned.begin, unit.owned.end, layer.width,
                           sweep.taps + b * taps * kLanes, {slope, is_first ? 0 : Relu::kCap}, du);
    }
  }
  if (is_first)
    sweep.before.input.write(unit.image * layer.pixels() + unit.owned.begin * layer.width,
                             unit.images * run, buffer, unit.images * run * kLanes);
}

template <class Gradient, class From, class T>
void differentiate_depthwise(const ShuffleProblem<T>& p, const Plan& plan, const Gradient& gradient,
                             const From& from, const Before<T>& before, T* to) {
  const HeadLayer<T>& layer = gradient.layer;
  const index taps = layer.kernel * layer.kernel, size = layer.blocks() * taps * kLanes;
  Scratch scratch;
  const DepthwiseSweep<T> sweep{layer, plan, pack_taps(scratch, layer),
                                find_gradient<T>(layer.kernel, layer.stride, layer.width), before};
  T* weight = scratch.zeros<T>(plan.chunks * size);
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    for (index strip = 0; strip < plan.strips; ++strip) {
      const Unit unit = plan.unit(g, strip);
      depthwise_gradient_unit(sweep, gradient, from, unit, weight + chunk * size);
      if (before.layer)
        add_norm_sums(*before.layer, before.given, before.fold, unit,
                      {unit.owned.begin * layer.width, unit.owned.end * layer.width},
                      before.chunk_sums(chunk));
    }
  });
  add_parts(p.executor, plan.chunks, size, weight);
  unpack_columns(plan.shape, p.executor, weight, taps, to);
}

}  // namespace stnas::cpu::STNAS_ISA

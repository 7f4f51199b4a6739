// The gradient of a 1x1 convolution in one sweep: dW = sum dv u', du = W' dv, where u is the
// layer's input.
#pragma once

#include "shuffle/cpu/gradient_layer.h"

namespace stnas::cpu::STNAS_ISA {

// Where the gradient of a layer's input goes: to `dz` of the layer before it, with its sums
// [chunks][2][padded], or, where there is none, to x.
template <class T>
struct Before {
  const HeadLayer<T>* layer;
  StoredGradient<T> given;
  Fold<T> fold;
  double* sums;
  InputGradient<T> input;

  index padded() const { return layer->blocks() * kLanes; }
  double* chunk_sums(index chunk) const { return sums + chunk * 2 * padded(); }
};

// Memory for the gradient of the input of layer i of a head.
template <class T>
Before<T> take_before(Scratch& scratch, const Head<T>& head, index i, index chunks,
                      const InputGradient<T>& input) {
  if (i == 0) return {nullptr, {nullptr}, {}, nullptr, input};
  const HeadLayer<T>& layer = head.layers[i - 1];
  const index padded = layer.blocks() * kLanes;
  return {&layer,
          {scratch.take<T>(input.p.images * padded * layer.out_pixels())},
          fold_layer(scratch, layer),
          scratch.zeros<double>(chunks * 2 * padded),
          input};
}

template <class T>
struct PointwiseGradient {
  const HeadLayer<T>& layer;
  const T* panels;         // weights [in / 16][out][16]
  const int32_t* offsets;  // of a group's pixels in its input
  const Before<T>& before;
};

// One group; weight += [in / 16][out][16].
template <class Gradient, class From, class T>
void pointwise_gradient_group(const PointwiseGradient<T>& by, const Gradient& gradient,
                              const From& from, const Unit& unit, T* weight) {
  const HeadLayer<T>& layer = by.layer;
  const index pixels = layer.pixels(), total = unit.images * pixels;
  const index in = layer.in_blocks() * kLanes, out = layer.blocks() * kLanes;
  const index most_pixels = tile_pixels(most(in, out)), first = unit.image * pixels;
  const bool is_first = !by.before.layer;
  Scratch scratch;
  T *dv = scratch.take<T>(most_pixels * out), *u = scratch.take<T>(most_pixels * in);
  T* tile = is_first ? scratch.take<T>(most_pixels * in) : nullptr;
  T* dz = is_first ? nullptr : by.before.given.dz + first * in;
  for (index q = 0; q < total; q += most_pixels) {
    const index count = least(most_pixels, total - q);
    fill_rows(gradient, unit, pixels, layer.blocks(), q, count, dv);
    fill_rows(from, unit, pixels, layer.in_blocks(), q, count, u);
    for (index b = 0; b < layer.in_blocks(); ++b)
      correlate(layer.out, count, dv, out, u + b * kLanes, in,
                [&](index o, Vec<T> v) __attribute__((always_inline)) {
                  T* to = weight + (b * layer.out + o) * kLanes;
                  store(to, load(to) + v);
                });
    T* to = is_first ? tile : dz;
    const index step = is_first ? count * kLanes : pixels * kLanes;
    const int32_t* offsets = by.offsets + (is_first ? 0 : q);
    multiply_blocks(layer.in_blocks(), count, Rows<T>{dv, out, layer.out}, by.panels,
                    [&](index i, index block, Vec<T> v) __attribute__((always_inline)) {
                      store(to + block * step + offsets[i], v);
                    });
    if (is_first) by.before.input.write(first + q, count, tile, step);
  }
}

// Offsets of a group's pixels where the input's gradient is stored, or in a tile of its own.
template <class T>
const int32_t* gradient_offsets(Scratch& scratch, const Plan& plan, const HeadLayer<T>& layer,
                                bool is_first) {
  if (!is_first) return group_offsets<T>(scratch, plan, layer.in_blocks());
  const index count = tile_pixels(kLanes);
  int32_t* offsets = scratch.take<int32_t>(count);
  for (index i = 0; i < count; ++i) offsets[i] = int32_t(i * kLanes);
  return offsets;
}

template <class Gradient, class From, class T>
void differentiate_pointwise(const ShuffleProblem<T>& p, const Plan& plan, const Gradient& gradient,
                             const From& from, const Before<T>& before, T* to) {
  const HeadLayer<T>& layer = gradient.layer;
  const index size = layer.in_blocks() * layer.out * kLanes;
  Scratch scratch;
  T* panels = scratch.take<T>(size);
  pack_rows(layer.weight, layer.out, layer.in, layer.out, panels);
  const PointwiseGradient<T> by{layer, panels,
                                gradient_offsets(scratch, plan, layer, !before.layer), before};
  T* weight = scratch.zeros<T>(plan.chunks * size);
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    const Unit unit = plan.unit(g, 0);
    pointwise_gradient_group(by, gradient, from, unit, weight + chunk * size);
    if (before.layer)
      add_norm_sums(*before.layer, before.given, before.fold, unit, {0, layer.pixels()},
                    before.chunk_sums(chunk));
  });
  add_parts(p.executor, plan.chunks, size, weight);
  for (index b = 0; b < layer.in_blocks(); ++b)
    for (index o = 0; o < layer.out; ++o)
      store(to + o * layer.in + b * kLanes, load(weight + (b * layer.out + o) * kLanes),
            layer.in - b * kLanes);
}

}  // namespace stnas::cpu::STNAS_ISA

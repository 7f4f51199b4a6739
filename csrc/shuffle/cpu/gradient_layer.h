// What the gradients of the layers share: the gradient before a BN, made anew wherever it is read,
// its two sums, and where the gradient of x goes.
#pragma once

#include "bottleneck/cpu/gradient_hidden.h"
#include "shuffle/cpu/forward.h"

namespace stnas::cpu::STNAS_ISA {

// dz of the last layer: the result's gradient where its ReLU was passed.
template <class T>
struct ResultGradient {
  const T* grad;  // of the result, from the head's first channel on
  index row;

  STNAS_INLINE auto at(const HeadLayer<T>& layer, const Fold<T>& fold, index image, index block,
                       index pixel) const {
    const T* from = grad + (image * layer.out_pixels() + pixel) * row + block * kLanes;
    const auto scale = load(fold.scale + block * kLanes), bias = load(fold.bias + block * kLanes);
    const index lanes = layer.out - block * kLanes;
    return [=, step = row](index i, Vec<T> gap) __attribute__((always_inline)) {
      return times_slope<Relu>(gap * scale + bias)(load(from + i * step, lanes));
    };
  }
};

// dz of a layer that another follows, stored like the layer's values.
template <class T>
struct StoredGradient {
  T* dz;

  STNAS_INLINE auto at(const HeadLayer<T>& layer, const Fold<T>&, index image, index block,
                       index pixel) const {
    const T* from = dz + ((image * layer.blocks() + block) * layer.out_pixels() + pixel) * kLanes;
    return [=](index i, Vec<T>) __attribute__((always_inline)) { return load(from + i * kLanes); };
  }
};

// The gradient of a layer's values: dv = keep * dz - offset - (v - mean) * pull.
template <class Given, class T>
struct ValuesGradient {
  const HeadLayer<T>& layer;
  Given given;
  Fold<T> fold;
  NormGradient<T> norm;

  STNAS_INLINE auto at(index image, index block, index pixel) const {
    const index pixels = layer.out_pixels();
    const T* values = layer.values + ((image * layer.blocks() + block) * pixels + pixel) * kLanes;
    const auto of = [&](const T* from)
                        __attribute__((always_inline)) { return load(from + block * kLanes); };
    const auto mean = of(fold.mean), keep = of(norm.keep), offset = of(norm.offset);
    const auto pull = of(norm.pull);
    const auto dz = given.at(layer, fold, image, block, pixel);
    return [=](index i) __attribute__((always_inline)) {
      const auto gap = load(values + i * kLanes) - mean;
      return (dz(i, gap) * keep - offset) - gap * pull;
    };
  }
};

// Adds sum dz and sum dz (v - mean) over some images to sums [2][padded].
template <class Given, class T>
void add_norm_sums(const HeadLayer<T>& layer, const Given& given, const Fold<T>& fold,
                   const Unit& unit, Range pixels, double* sums) {
  const index padded = layer.blocks() * kLanes;
  for (index b = 0; b < layer.blocks(); ++b) {
    const auto mean = load(fold.mean + b * kLanes);
    Vec<T> plain[2] = {zero<T>(), zero<T>()}, product[2] = {zero<T>(), zero<T>()};
    for (index image = unit.image; image < unit.image + unit.images; ++image) {
      const auto dz = given.at(layer, fold, image, b, pixels.begin);
      const T* values = layer.values +
                        ((image * layer.blocks() + b) * layer.out_pixels() + pixels.begin) * kLanes;
      in_pairs(pixels.count(), [&](index i, int at) __attribute__((always_inline)) {
        const auto gap = load(values + i * kLanes) - mean, value = dz(i, gap);
        plain[at] = plain[at] + value;
        product[at] = product[at] + value * gap;
      });
    }
    add_lanes(plain[0] + plain[1], sums + b * kLanes);
    add_lanes(product[0] + product[1], sums + padded + b * kLanes);
  }
}

// The gradient of the values from the chunks' sums; writes that of the BN's weight and bias.
template <class Given, class T>
ValuesGradient<Given, T> values_gradient(Scratch& scratch, const ShuffleProblem<T>& p,
                                         const HeadLayer<T>& layer, const Given& given,
                                         const Fold<T>& fold, index chunks, double* sums,
                                         T* affine) {
  const Shape s = shape_of(layer, p.images);
  add_parts(p.executor, chunks, 2 * s.padded(), sums);
  const double count = double(p.images * layer.out_pixels());
  return {layer, given, fold, norm_gradient(scratch, s, fold, sums, count, affine)};
}

// Where a head's first layer puts the gradient of x: written, or added to another head's.
template <class T>
struct InputGradient {
  const ShuffleProblem<T>& p;
  T* x;
  const T* grad;  // of the result, whose first half passed by where half of x is kept
  bool add;

  // `count` pixels from `first` on, blocks `step` values apart. Channels that pass by are written
  // beside those that a head read.
  void write(index first, index count, const T* from, index step) const {
    const index channels = p.read(), row = p.in, kept = p.out;
    for (index j = 0; j < channels; j += kLanes, from += step) {
      T* to = x + first * row + p.step() * j;
      const T* other = grad + first * kept + j;
      const index lanes = channels - j;
      if (p.keeps_half())
        for (index i = 0; i < count; ++i)
          store_in_turn(to + i * row, load(other + i * kept, lanes), load(from + i * kLanes),
                        lanes);
      else if (add)
        for (index i = 0; i < count; ++i)
          store(to + i * row, load(to + i * row, lanes) + load(from + i * kLanes), lanes);
      else
        for (index i = 0; i < count; ++i) store(to + i * row, load(from + i * kLanes), lanes);
    }
  }
};

}  // namespace stnas::cpu::STNAS_ISA

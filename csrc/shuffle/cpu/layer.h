// What the passes over the layers of a head share: sizes, tiles of pixels, and a layer's input,
// which is x or the layer before it, its BN and activation applied wherever it is read.
#pragma once

#include "bottleneck/cpu/plan.h"
#include "host/activation.h"
#include "host/moments.h"
#include "shuffle/cpu/channels.h"
#include "shuffle/problem.h"

namespace stnas::cpu::STNAS_ISA {

// A layer in the words of the choice block's plans, its output as the hidden tensor.
template <class T>
Shape shape_of(const HeadLayer<T>& layer, index images) {
  return {images, layer.height, layer.width, layer.in, layer.out, layer.out,
          1,      layer.kernel, layer.stride};
}

// No activation, behind the BN of a depthwise convolution.
struct Linear {
  template <class T, int N>
  static STNAS_INLINE Vec<T, N> value(Vec<T, N> z) {
    return z;
  }
};

// a(BN v) of a layer's values v.
template <class Act, class T>
struct LayerOutput {
  const T* values;
  Fold<T> fold;
  index blocks, pixels;

  STNAS_INLINE auto at(index image, index block, index pixel) const {
    const T* from = values + ((image * blocks + block) * pixels + pixel) * kLanes;
    const auto mean = load(fold.mean + block * kLanes), scale = load(fold.scale + block * kLanes);
    const auto bias = load(fold.bias + block * kLanes);
    return [=](index i) __attribute__((always_inline)) {
      return Act::value((load(from + i * kLanes) - mean) * scale + bias);
    };
  }
};

template <class T>
Fold<T> fold_layer(Scratch& scratch, const HeadLayer<T>& layer) {
  return fold_norm(scratch, layer.norm, layer.statistics, layer.statistics + layer.out, layer.out);
}

template <class Act, class T>
LayerOutput<Act, T> layer_output(Scratch& scratch, const HeadLayer<T>& layer) {
  return {layer.values, fold_layer(scratch, layer), layer.blocks(), layer.out_pixels()};
}

// use(the channels of x that a head reads).
template <class T, class Use>
void with_channels(const ShuffleProblem<T>& p, const Use& use) {
  if (p.keeps_half())
    use(ChannelRows<2, T>{p.x, p.in, p.read(), p.pixels()});
  else
    use(ChannelRows<1, T>{p.x, p.in, p.read(), p.pixels()});
}

// use(the input of layer i of a head); Act: of the layer before it.
template <class Act, class T, class Use>
void with_input(Scratch& scratch, const ShuffleProblem<T>& p, const Head<T>& head, index i,
                const Use& use) {
  if (i > 0)
    use(layer_output<Act>(scratch, head.layers[i - 1]));
  else
    with_channels(p, use);
}

// Rows of `row` values for products, few enough for the L1 or, with many channels, the L2 cache.
inline index tile_pixels(index row) { return most(56, 6144 / row / 14 * 14); }

// Pixels [begin, begin + count) of a group into rows of whole blocks; from.at(image, block,
// pixel)(i) is the vector of a pixel.
template <class T, class From>
STNAS_INLINE void fill_rows(const From& from, const Unit& unit, index pixels, index blocks,
                            index begin, index count, T* rows) {
  for (index b = 0; b < blocks; ++b) {
    T* to = rows + b * kLanes;
    for (index q = begin; q < begin + count;) {
      const index image = q / pixels, first = q - image * pixels;
      const index run = least(pixels - first, begin + count - q);
      const auto value = from.at(unit.image + image, b, first);
      for (index i = 0; i < run; ++i, to += blocks * kLanes) store(to, value(i));
      q += run;
    }
  }
}

// Offset of every pixel of a group in a tensor [image][block][pixel][16] of `blocks` blocks.
template <class T>
const int32_t* group_offsets(Scratch& scratch, const Plan& plan, index blocks) {
  const index pixels = plan.shape.pixels();
  int32_t* offsets = scratch.take<int32_t>(plan.group * pixels);
  for (index n = 0; n < plan.group; ++n)
    for (index q = 0; q < pixels; ++q)
      offsets[n * pixels + q] = int32_t((n * blocks * pixels + q) * kLanes);
  return offsets;
}

}  // namespace stnas::cpu::STNAS_ISA

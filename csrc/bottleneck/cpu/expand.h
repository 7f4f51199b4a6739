// The expanded tensor of one unit and one channel block: a product with folded BN and the
// activation.
#pragma once

#include "bottleneck/cpu/depthwise.h"
#include "bottleneck/cpu/plan.h"
#include "host/activation.h"
#include "host/operand.h"

namespace stnas::cpu::STNAS_ISA {

// Where a unit's planes keep their pixels: `rows` rows of `pitch` vectors an image, `left` of them
// padding.
struct Layout {
  index images, top, rows, width, pitch, left;

  index vectors() const { return images * rows * pitch; }
  template <class T>
  Plane<T> plane(T* data, index image) const {
    return {data + image * rows * pitch * kLanes, top, pitch, left};
  }
};

// Input rows with columns for the taps left and right of the image.
template <class T>
Layout input_layout(const Shape& s, index images, Range rows) {
  const index pad = s.kernel / 2, width = s.width;
  if (is_bare(s.stride, width)) return {images, rows.begin, rows.count(), width, width, 0};
  const index right = most(0, (s.out_width() - 1) * s.stride + pad + 1 - width);
  return {images, rows.begin, rows.count(), width, pad + width + right, pad};
}

// Output rows with columns for every output that the gradient of the inputs reads.
template <class T>
Layout output_layout(const Shape& s, index images, Range rows) {
  const index pad = s.kernel / 2, width = s.out_width();
  if (is_bare(s.stride, s.width)) return {images, rows.begin, rows.count(), width, width, 0};
  const index left = pad / s.stride;
  const index last = (round_up(s.width, s.stride) - 1 + pad) / s.stride;
  return {images, rows.begin, rows.count(), width, left + most(width, last + 1), left};
}

// Planes whose padding is zero; the pixels are not set.
template <class T>
T* take_planes(Scratch& scratch, const Layout& at, index planes) {
  const index count = planes * at.vectors() * kLanes;
  return at.pitch > at.width ? scratch.zeros<T>(count) : scratch.take<T>(count);
}

// Offset of every pixel of a plane, in the order of the input's pixels.
template <class T>
const int32_t* pixel_offsets(Scratch& scratch, const Layout& at) {
  int32_t* offsets = scratch.take<int32_t>(at.images * at.rows * at.width);
  int32_t* to = offsets;
  for (index row = 0; row < at.images * at.rows; ++row)
    for (index x = 0; x < at.width; ++x) *to++ = int32_t((row * at.pitch + at.left + x) * kLanes);
  return offsets;
}

// Blocks that go through the cache together: a pair where that makes products faster.
struct Blocks {
  index first, count;
};
template <class T>
constexpr index kTogether = kPairsBlocks<T> ? 2 : 1;

// use(blocks) for all blocks of the hidden tensors.
template <class O, class Use>
STNAS_INLINE void for_each_blocks(const Shape& s, const Use& use) {
  for (index b = 0; b < s.blocks(); b += kTogether<O>)
    use(Blocks{b, least(kTogether<O>, s.blocks() - b)});
}

// The block's weights and what every unit shares.
template <class T, class O = T>
struct Expand {
  const O* panels;
  const T* bias;
  index depth;
};

// e = a(x w + bias) of some blocks into planes `step` values apart; the slopes a'(.) too, where the
// activation's value does not tell them.
template <class Act, class T, class O>
void expand(const Expand<T, O>& by, Blocks blocks, index pixels, const O* x, const int32_t* offsets,
            index step, T* planes, T* slopes = nullptr) {
  const T* bias = by.bias + blocks.first * kLanes;
  multiply_blocks(blocks.count, pixels, Rows<O>{x, by.depth, by.depth},
                  by.panels + blocks.first * by.depth * kLanes,
                  [&](index i, index block, Vec<T> v) __attribute__((always_inline)) {
                    const auto z = v + load(bias + block * kLanes);
                    const index to = block * step + offsets[i];
                    store(planes + to, Act::value(z));
                    if constexpr (Act::kCap == 0)
                      if (slopes) store(slopes + to, Act::slope(z));
                  });
}

// Depthwise weights [M, K, K] as [block][K, K][16], times `scale` where given.
template <class T, class S>
const T* pack_depthwise(Scratch& scratch, const Problem<T, S>& p, const T* scale = nullptr) {
  const index taps = p.shape.kernel * p.shape.kernel;
  T* packed = scratch.take<T>(p.shape.padded() * taps);
  pack_columns(p.weights.depthwise, taps, p.shape.hidden, taps, packed);
  if (scale) scale_lanes(p.shape.blocks(), taps, scale, packed);
  return packed;
}

// Expand weights [M, in] as [block][in][16], times the scale of the folded BN where given.
template <class T, class S>
Expand<T, Operand<S>> pack_expand(Scratch& scratch, const Problem<T, S>& p, const T* scale,
                                  const T* bias) {
  using O = Operand<S>;
  T* packed = scratch.take<T>(p.shape.padded() * p.shape.in);
  pack_columns(p.weights.expand, p.shape.in, p.shape.hidden, p.shape.in, packed);
  if (scale) scale_lanes(p.shape.blocks(), p.shape.in, scale, packed);
  return {pack_operand<O>(scratch, p.shape.blocks(), p.shape.in, packed), bias,
          round_up(p.shape.in, kDepthStep<O>)};
}

}  // namespace stnas::cpu::STNAS_ISA

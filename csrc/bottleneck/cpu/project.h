// The project product y = W (g a(BN d)), tile of pixels by tile; the gated tensor stays in the
// cache.
#pragma once

#include "bottleneck/cpu/expand.h"
#include "host/activation.h"
#include "host/gemm.h"
#include "host/moments.h"

namespace stnas::cpu::STNAS_ISA {

// Project weights [out, M] as [out / 16][M][16], column o times scale[o] where given.
template <class T, class S>
const Operand<S>* pack_project(Scratch& scratch, const Problem<T, S>& p, const T* scale = nullptr) {
  const index padded = p.shape.padded(), blocks = round_up(p.shape.out, kLanes) / kLanes;
  T* packed = scratch.take<T>(padded * blocks * kLanes);
  pack_columns(p.weights.project, p.shape.hidden, p.shape.out, padded, packed);
  if (scale) scale_lanes(blocks, padded, scale, packed);
  return pack_operand<Operand<S>>(scratch, blocks, padded, packed);
}

// Some pixels of all hidden channels, the left operand of a product: planes [block][pixel][16], or
// rows for tile registers.
template <class O>
struct HiddenTile {
  O* data;
  index pixels;     // at most
  index row, step;  // values from pixel to pixel, and from block to block
  index blocks;

  Rows<O> rows() const {
    if constexpr (kTiled<O>)
      return {data, row, row};
    else
      return {data, row, row, blocks, step};
  }
};

template <class O>
HiddenTile<O> take_tile(Scratch& scratch, const Shape& s, index pixels) {
  O* data = scratch.take<O>(pixels * s.padded());
  if constexpr (kTiled<O>)
    return {data, pixels, s.padded(), kLanes, s.blocks()};
  else
    return {data, pixels, kLanes, pixels * kLanes, s.blocks()};
}

// One with few enough pixels for the L1 or, with many channels, the L2 cache: a multiple of the
// product's row tile.
template <class O>
HiddenTile<O> take_tile(Scratch& scratch, const Shape& s) {
  constexpr index kRows = kTiled<O> ? 4 * kTileRows : 56, kStep = kTiled<O> ? kRows : 14;
  return take_tile<O>(scratch, s, most(kRows, 6144 / s.padded() / kStep * kStep));
}

// Pixels [begin, begin + count) of a group, image after image: value(block, image, offset)(i) is
// the vector i of a run that starts at this offset of a group's tensor [image][block][pixel][16].
template <class O, class Value>
STNAS_INLINE void fill_tile(const Shape& s, index pixels, index begin, index count,
                            const HiddenTile<O>& to, const Value& value) {
  for (index b = 0; b < s.blocks(); ++b) {
    O* plane = to.data + b * to.step;
    for (index q = begin; q < begin + count;) {
      const index image = q / pixels, first = q - image * pixels;
      const index run = least(pixels - first, begin + count - q);
      const auto at = value(b, image, ((image * s.blocks() + b) * pixels + first) * kLanes);
      for (index i = 0; i < run; ++i, plane += to.row) store(plane, at(i * kLanes));
      q += run;
    }
  }
}

// The product of `count` pixels with panels of `columns` columns, as dense rows.
template <class O, class S>
void project_tile(const HiddenTile<O>& from, index count, const O* panels, index columns, S* to) {
  multiply_columns(columns, count, from.rows(), panels,
                   [&](index i, index j, auto v) __attribute__((always_inline)) {
                     store(to + i * columns + j, v, columns - j);
                   });
}

// Adds the rows of y to the moments of the project BN, [out / 16].
template <class S>
void add_rows(const Shape& s, const S* y, index count, Moments* to) {
  const index padded = round_up(s.out, kLanes / 2);
  Scratch scratch;
  if (padded != s.out) {
    S* copy = scratch.take<S>(count * padded);
    pad_columns(y, count, s.out, padded, copy);
    y = copy;
  }
  for_each_panel(padded, [&](auto lanes, index j) {
    add_vectors<lanes>(to[j / kLanes], y + j, count, padded);
  });
}

}  // namespace stnas::cpu::STNAS_ISA

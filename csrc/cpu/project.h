// The project product y = W (g a(BN d)), tile of pixels by tile; the gated tensor stays in the
// cache.
#pragma once

#include "activation.h"
#include "expand.h"
#include "gemm.h"
#include "moments.h"

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

// Pixels of a tile: a multiple of the product's row tile, small enough for the L1 or, with many
// channels, the L2 cache.
inline index product_tile(const Shape& s) {
  const index fits = index{6144} / s.padded() / 14 * 14;
  return most(56, fits);
}

// Pixels [begin, begin + count) of a group, image after image, into planes [block][tile][16]:
// value(block, image, offset)(i) is the vector i of a run that starts at this offset of a group's
// tensor [image][block][pixel][16].
template <class T, class Value>
STNAS_INLINE void fill_tile(const Shape& s, index pixels, index begin, index count, index tile,
                            T* to, const Value& value) {
  for (index b = 0; b < s.blocks(); ++b) {
    T* plane = to + b * tile * kLanes;
    for (index q = begin; q < begin + count;) {
      const index image = q / pixels, first = q - image * pixels;
      const index run = least(pixels - first, begin + count - q);
      const auto at = value(b, image, ((image * s.blocks() + b) * pixels + first) * kLanes);
      for (index i = 0; i < run; ++i, plane += kLanes) store(plane, at(i * kLanes));
      q += run;
    }
  }
}

// y of one tile, dense rows of `out` channels.
template <class O, class S>
void project_rows(const Shape& s, const O* panels, index count, const Rows<O>& from, S* y) {
  for_each_panel(s.out, [&](auto lanes, index j) {
    multiply<lanes>(count, from, panels + j * s.padded(),
                    [&](index i, Vec<Wide<O>, lanes> v) __attribute__((always_inline)) {
                      store(y + i * s.out + j, v, s.out - j);
                    });
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

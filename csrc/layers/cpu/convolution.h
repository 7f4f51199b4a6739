// A dense convolution of few weights, NHWC: products of the patches of x, [pixel][tap][channel], a
// tile of pixels at a time, with the weights. Padding is kernel / 2.
#pragma once

#include "host/correlate.h"
#include "host/gemm.h"
#include "host/pack.h"
#include "host/partial_sums.h"
#include "host/scratch.h"
#include "layers/problem.h"

namespace stnas::cpu::STNAS_ISA {

constexpr index kPixelTile = 112;

// The output pixels of all images.
template <class T>
Tiles pixel_tiles(const Convolution<T>& c) {
  return {c.images * c.out_pixels(), kPixelTile};
}

// Where the patch of an output pixel begins in its image; outside, in part, at an edge.
struct Corner {
  index image, y, x;
};

// use(i, corner) for the output pixels first + i, i < count.
template <class T, class Use>
STNAS_INLINE void for_each_patch(const Convolution<T>& c, index first, index count,
                                 const Use& use) {
  const index width = c.out_width(), height = c.out_height(), pad = c.kernel / 2;
  index column = first % width, row = first / width % height, image = first / width / height;
  for (index i = 0; i < count; ++i) {
    use(i, Corner{image, row * c.stride - pad, column * c.stride - pad});
    if (++column < width) continue;
    column = 0;
    if (++row == height) row = 0, ++image;
  }
}

// use(tap, offset in x) for the taps of a patch that lie inside the image, outside(tap) for others.
template <class T, class Use, class Outside>
STNAS_INLINE void for_each_tap(const Convolution<T>& c, const Corner& at, const Use& use,
                               const Outside& outside) {
  for (index tap = 0; tap < c.kernel * c.kernel; ++tap) {
    const index y = at.y + tap / c.kernel, x = at.x + tap % c.kernel;
    if (y < 0 || y >= c.height || x < 0 || x >= c.width)
      outside(tap);
    else
      use(tap, ((at.image * c.height + y) * c.width + x) * c.in);
  }
}

// Memory for the patches of a tile: whole vectors are written, the last past the end.
template <class T>
T* take_patches(Scratch& scratch, const Convolution<T>& c) {
  return scratch.take<T>(kPixelTile * c.depth() + kLanes);
}

// The patches of a tile, one a row: x itself where they are single pixels, else in `to`. A row of
// taps is one run of x; vectors write past its end what the next run overwrites.
template <class T>
const T* gather_patches(const Convolution<T>& c, index first, index count, T* to) {
  if (c.is_product()) return c.x + first * c.in;
  const index run = c.kernel * c.in, row = c.width * c.in;
  const index last = c.images * c.height * row - round_up(run, kLanes) - (c.kernel - 1) * row;
  for_each_patch(c, first, count, [&](index i, const Corner& at) {
    T* patch = to + i * c.depth();
    const index from = (at.image * c.height + at.y) * row + at.x * c.in;
    if (at.y >= 0 && at.y + c.kernel <= c.height && at.x >= 0 && at.x + c.kernel <= c.width &&
        from <= last) {
      for (index y = 0; y < c.kernel; ++y)
        for (index k = 0; k < run; k += kLanes)
          store(patch + y * run + k, load(c.x + from + y * row + k));
      return;
    }
    for_each_tap(
        c, at,
        [&](index tap, index inside) {
          for (index k = 0; k < c.in; ++k) patch[tap * c.in + k] = c.x[inside + k];
        },
        [&](index tap) {
          for (index k = 0; k < c.in; ++k) patch[tap * c.in + k] = T(0);
        });
  });
  return to;
}

template <class T>
void convolve(const Convolution<T>& c, T* out) {
  const index depth = c.depth(), panels = round_up(c.out, kLanes) / kLanes;
  Scratch scratch;
  T* packed = scratch.take<T>(panels * depth * kLanes);
  pack_columns(c.weight, depth, c.out, depth, packed);
  const Tiles tiles = pixel_tiles(c);
  const index work = tiles.count * panels * depth;
  tiles.for_each(c.executor, work, [&](index first, index count, index) {
    Scratch own;
    const T* rows = gather_patches(c, first, count, take_patches(own, c));
    multiply_columns(c.out, count, Rows<T>{rows, depth, depth}, packed,
                     [&](index i, index j, auto v) __attribute__((always_inline)) {
                       store(out + (first + i) * c.out + j, v, c.out - j);
                     });
  });
}

// [depth][padded out] of a chunk, to PyTorch's [out, taps, in].
template <class T>
void convolve_weight_gradient(const Convolution<T>& c, const T* grad, T* to) {
  const Tiles tiles = pixel_tiles(c);
  const index depth = c.depth(), padded = round_up(c.out, kLanes / 2);
  Scratch scratch;
  T* sums = scratch.zeros<T>(tiles.chunks * depth * padded);
  const index work = tiles.count * (depth * padded / kLanes);
  tiles.for_each(c.executor, work, [&](index first, index count, index chunk) {
    Scratch own;
    const T* rows = gather_patches(c, first, count, take_patches(own, c));
    const T* g = grad + first * c.out;
    if (padded != c.out) {
      T* copy = own.take<T>(count * padded);
      pad_columns(g, count, c.out, padded, copy);
      g = copy;
    }
    for_each_panel(padded, [&](auto lanes, index j) {
      T* column = sums + chunk * depth * padded + j;
      correlate<lanes>(depth, count, rows, depth, g + j, padded,
                       [&](index k, Vec<T, lanes> v) __attribute__((always_inline)) {
                         store(column + k * padded, load<lanes>(column + k * padded) + v);
                       });
    });
  });
  add_parts(c.executor, tiles.chunks, depth * padded, sums);
  for (index o = 0; o < c.out; ++o)
    for (index k = 0; k < depth; ++k) to[o * depth + k] = sums[k * padded + o];
}

// The gradients of the patches, added up image by image where patches overlap.
template <class T>
void convolve_input_gradient(const Convolution<T>& c, const T* grad, T* to) {
  const index depth = c.depth(), panels = round_up(depth, kLanes) / kLanes;
  const index pixels = c.out_pixels(), size = c.height * c.width * c.in;
  Scratch scratch;
  T* packed = scratch.take<T>(panels * c.out * kLanes);
  pack_rows(c.weight, c.out, depth, c.out, packed);
  parallel(c.executor, c.images, c.images * pixels * panels * c.out, [&](index image) {
    Scratch own;
    T* x = to + image * size;
    T* patches = c.is_product() ? x : own.take<T>(pixels * depth);
    multiply_columns(depth, pixels, Rows<T>{grad + image * pixels * c.out, c.out, c.out}, packed,
                     [&](index i, index j, auto v) __attribute__((always_inline)) {
                       store(patches + i * depth + j, v, depth - j);
                     });
    if (c.is_product()) return;
    for (index i = 0; i < size; ++i) x[i] = T(0);
    for_each_patch(c, image * pixels, pixels, [&](index i, const Corner& at) {
      for_each_tap(
          c, at,
          [&](index tap, index inside) {
            for (index k = 0; k < c.in; ++k) to[inside + k] += patches[i * depth + tap * c.in + k];
          },
          [](index) {});
    });
  });
}

}  // namespace stnas::cpu::STNAS_ISA

// Dense convolutions without a stride as products over a padded image, NHWC. The rows of an image
// lie behind each other with `pad` zeros between them, so that what a row of the kernel meets is
// one run of kernel x channels values, that of pixel q at q channels: rows of a matrix that
// overlap, and are never gathered. What is computed between the rows of an image is left out. Where
// 8 channels of the result or fewer are left over, two pixels share a vector: they meet kernel + 1
// taps, of which each has one without weight.
#pragma once

#include "host/correlate.h"
#include "host/gemm.h"
#include "host/scratch.h"

namespace stnas::cpu::STNAS_ISA {

constexpr int kHalf = kLanes / 2;

struct DirectConvolution {
  index height, width, in, out, kernel;

  index pad() const { return kernel / 2; }
  index row() const { return width + pad(); }  // from a pixel to the one below
  // Pixels that are computed: those between rows, too, and up to 3 behind the last.
  index count() const { return round_up(height * row() - pad(), 4); }
  // Pixels of a padded image, the first of which is the first tap of the first.
  index padded() const { return count() + 2 * pad() * (row() + 1); }
  index begin(index r) const { return (r + pad()) * row() + pad(); }  // of an image's row
  index run() const { return kernel * in; }
  index depth() const { return kernel * run(); }
  // Blocks of 16 channels that are computed pixel by pixel, and whether some are in pairs.
  index blocks() const { return (out + kHalf - 1) / kLanes; }
  index single() const { return blocks() * kLanes; }
  bool has_pairs() const { return single() < out; }
};

// A kernel in memory: weight(o, i, tap) stands at first[o out + i in + tap step].
template <class T>
struct Taps {
  const T* first;
  index out, in, step;
  T at(index o, index i, index tap) const { return first[o * out + i * in + tap * step]; }
};

// Those of a kernel [out][in][kernel][kernel], and those by which a gradient goes back.
template <class T>
Taps<T> plain_taps(const DirectConvolution& d, const T* kernel) {
  const index area = d.kernel * d.kernel;
  return {kernel, d.in * area, area, 1};
}
template <class T>
Taps<T> turned_taps(const DirectConvolution& d, const T* kernel) {
  const index area = d.kernel * d.kernel;
  return {kernel + area - 1, area, d.in * area, -1};
}
inline DirectConvolution turned(const DirectConvolution& d) {
  return {d.height, d.width, d.out, d.in, d.kernel};
}

// A kernel as the products read it: [block][tap][in][16] and [kernel][kernel + 1][in][2][8].
template <class T>
struct PackedTaps {
  T *single, *pairs;
};

template <class T>
PackedTaps<T> pack_taps(Scratch& scratch, const DirectConvolution& d, const Taps<T>& taps) {
  const index area = d.kernel * d.kernel, wide = d.kernel + 1;
  const PackedTaps<T> to{scratch.zeros<T>(d.depth() * d.single()),
                         scratch.zeros<T>(d.has_pairs() * d.kernel * wide * d.in * kLanes)};
  for (index o = 0; o < d.out; ++o)
    for (index i = 0; i < d.in; ++i)
      for (index tap = 0; tap < area; ++tap) {
        const T value = taps.at(o, i, tap);
        if (o < d.single()) {
          to.single[((o / kLanes * area + tap) * d.in + i) * kLanes + o % kLanes] = value;
        } else {
          const index place = tap / d.kernel * wide + tap % d.kernel;
          T* pair = to.pairs + (place * d.in + i) * kLanes + o - d.single();
          pair[0] = pair[d.in * kLanes + kHalf] = value;
        }
      }
  return to;
}

// The pixel that a computed one is, or -1 between rows.
inline int32_t* places_of(Scratch& scratch, const DirectConvolution& d) {
  int32_t* places = scratch.take<int32_t>(d.count());
  for (index q = 0; q < d.count(); ++q) {
    const index r = q / d.row(), w = q % d.row();
    places[q] = int32_t(r < d.height && w < d.width ? r * d.width + w : -1);
  }
  return places;
}

// use(pixel, j, v): the channels of the result from j on, 16 or 8, at every pixel of an image.
template <class T, class Use>
void convolve_directly(const DirectConvolution& d, const PackedTaps<T>& taps, const int32_t* places,
                       const T* x, const Use& use) {
  const index step = d.row() * d.in, j = d.single();
  multiply_blocks(d.blocks(), d.count(), Rows<T>{x, d.in, d.run(), d.kernel, step}, taps.single,
                  [&](index q, index block, Vec<T> v) __attribute__((always_inline)) {
                    if (places[q] >= 0) use(index(places[q]), block * kLanes, v);
                  });
  if (!d.has_pairs()) return;
  multiply(d.count() / 2, Rows<T>{x, 2 * d.in, d.run() + d.in, d.kernel, step}, taps.pairs,
           [&](index q, Vec<T> v) __attribute__((always_inline)) {
             T both[kLanes];
             store(both, v);
             if (places[2 * q] >= 0) use(index(places[2 * q]), j, load<kHalf>(both));
             if (places[2 * q + 1] >= 0)
               use(index(places[2 * q + 1]), j, load<kHalf>(both + kHalf));
           });
}

// Values of the sums of `add_taps`, which lie as a kernel is packed.
inline index tap_sums(const DirectConvolution& d) {
  return (d.depth() * d.blocks() + d.has_pairs() * (d.depth() + d.kernel * d.in)) * kLanes;
}

// Adds the gradient of the kernel for an image: x padded; g of pixel q at q out, zero between rows,
// and its channels that go in pairs at 8 q in `last`.
template <class T>
void add_taps(const DirectConvolution& d, const T* x, const T* g, const T* last, T* sums) {
  const index step = d.row() * d.in, wide = d.run() + d.in;
  const auto add_to = [](T* to) {
    return [to](index k, Vec<T> v) __attribute__((always_inline)) {
      store(to + k * kLanes, load(to + k * kLanes) + v);
    };
  };
  for (index j = 0; j < d.single(); j += kLanes)
    for (index y = 0; y < d.kernel; ++y, sums += d.run() * kLanes)
      correlate(d.run(), d.count(), x + y * step, d.in, g + j, d.out, add_to(sums));
  for (index y = 0; d.has_pairs() && y < d.kernel; ++y, sums += wide * kLanes)
    correlate(wide, d.count() / 2, x + y * step, 2 * d.in, last, kLanes, add_to(sums));
}

// put(o, i, tap, value) of the sums.
template <class T, class Put>
void for_each_tap_sum(const DirectConvolution& d, const T* sums, const Put& put) {
  const index area = d.kernel * d.kernel;
  const T* pairs = sums + d.depth() * d.single();
  for (index o = 0; o < d.out; ++o)
    for (index i = 0; i < d.in; ++i)
      for (index tap = 0; tap < area; ++tap) {
        if (o < d.single()) {
          put(o, i, tap, sums[((o / kLanes * area + tap) * d.in + i) * kLanes + o % kLanes]);
        } else {
          const index place = tap / d.kernel * (d.kernel + 1) + tap % d.kernel;
          const T* pair = pairs + (place * d.in + i) * kLanes + o - d.single();
          put(o, i, tap, pair[0] + pair[d.in * kLanes + kHalf]);
        }
      }
}

}  // namespace stnas::cpu::STNAS_ISA

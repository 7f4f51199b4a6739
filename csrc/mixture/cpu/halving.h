// The block between two stages. The convolution with stride 2 is one of 2x2 over blocks of 2x2
// pixels of four times the channels, some of whose weights are zero. BN and ReLU are applied as the
// second convolution pads an image.
#pragma once

#include "mixture/cpu/convolution.h"
#include "mixture/halving.h"

namespace stnas::cpu::STNAS_ISA {

template <class T>
DirectConvolution first_of(const Halving<T>& p) {
  return {p.rows(), p.columns(), 4 * p.in, p.out, 2};
}
template <class T>
DirectConvolution second_of(const Halving<T>& p) {
  return {p.rows(), p.columns(), p.out, p.out, 3};
}

// use(slot, pixel) for the pixels of a block that are there.
template <class T, class Use>
STNAS_INLINE void for_each_pixel(const Halving<T>& p, index r, index w, const Use& use) {
  for (index slot = 0; slot < 4; ++slot) {
    const index y = 2 * r + slot / 2, u = 2 * w + slot % 2;
    if (y < p.height && u < p.width) use(slot, y * p.width + u);
  }
}

// use(N, lanes, j, r, w) for the panels of channels of every block.
template <class T, class Use>
void for_each_block(const Halving<T>& p, const Use& use) {
  for_each_panel(p.in, [&](auto N, index j) {
    with_lanes<N>(p.in - j, [&](auto lanes) {
      for (index r = 0; r < p.rows(); ++r)
        for (index w = 0; w < p.columns(); ++w) use(N, lanes, j, r, w);
    });
  });
}

// The blocks of an image after ReLU, their surroundings zeros, and the mean of each before it.
template <class T>
void fill_blocks(const Halving<T>& p, const T* x, T* blocks, T* means) {
  const DirectConvolution d = first_of(p);
  for_each_block(p, [&](auto N, auto lanes, index j, index r, index w) {
    T* to = blocks + (d.begin(r) + w) * d.in + j;
    auto sum = zero<T, N>();
    for_each_pixel(p, r, w, [&](index slot, index q) {
      const auto v = load<N>(x + q * p.in + j, lanes);
      sum = sum + v;
      store(to + slot * p.in, at_least(zero<T, N>(), v), lanes);
    });
    store(means + (r * p.columns() + w) * p.in + j, sum * broadcast<N>(p.share(r, w)), lanes);
  });
}

// The gradient of an image, of those of its means and of its blocks after ReLU.
template <class T>
void join_gradients(const Halving<T>& p, const T* x, const T* of_means, const T* of_blocks, T* to) {
  for_each_block(p, [&](auto N, auto lanes, index j, index r, index w) {
    const index block = r * p.columns() + w;
    const auto none = zero<T, N>(), share = broadcast<N>(p.share(r, w));
    const auto mean = load<N>(of_means + block * p.in + j, lanes) * share;
    for_each_pixel(p, r, w, [&](index slot, index q) {
      const auto own = load<N>(of_blocks + (4 * block + slot) * p.in + j, lanes);
      const auto v = load<N>(x + q * p.in + j, lanes);
      store(to + q * p.in + j, mean + where_less(none, v, own, none), lanes);
    });
  });
}

// max(BN(z), 0) of an image whose surroundings are zeros.
template <class T>
void fill_normalised(const DirectConvolution& d, const T* z, const Fold<T>& fold, T* to) {
  for_each_panel(d.in, [&](auto N, index j) {
    with_lanes<N>(d.in - j, [&](auto lanes) {
      const auto mean = load<N>(fold.mean + j), scale = load<N>(fold.scale + j);
      const T* from = z + j;
      for (index r = 0; r < d.height; ++r) {
        T* at = to + d.begin(r) * d.in + j;
        for (index w = 0; w < d.width; ++w, at += d.in, from += d.in)
          store(at, at_least(zero<T, N>(), (load<N>(from, lanes) - mean) * scale), lanes);
      }
    });
  });
}

// The first kernel over blocks, [out][4 in][2][2]; of a block above or to the left only the second
// row or column counts.
template <class T>
T* widen_first(Scratch& scratch, const Halving<T>& p) {
  T* wide = scratch.zeros<T>(16 * p.out * p.in);
  const T* from = p.first;
  for (index o = 0; o < p.out; ++o)
    for (index i = 0; i < p.in; ++i)
      for (index tap = 0; tap < 9; ++tap) {
        const index y = tap / 3 + 1, u = tap % 3 + 1, slot = y % 2 * 2 + u % 2;
        wide[((o * 4 + slot) * p.in + i) * 4 + y / 2 * 2 + u / 2] = *from++;
      }
  return wide;
}

// Its gradient, of the sums of the wide one.
template <class T>
void narrow_first(const Halving<T>& p, const T* sums, T* to) {
  for_each_tap_sum(first_of(p), sums, [&](index o, index i, index tap, T value) {
    const index slot = i / p.in;
    const index y = tap / 2 * 2 + slot / 2 - 1, u = tap % 2 * 2 + slot % 2 - 1;
    if (y >= 0 && u >= 0) to[((o * p.in + i % p.in) * 3 + y) * 3 + u] = value;
  });
}

// z of the first convolution with its moments, and the shortcut to out.
template <class T>
void halve_first(const Halving<T>& p, const int32_t* places, T* z, Moments* moments, T* out) {
  const DirectConvolution d = first_of(p);
  Scratch scratch;
  const auto taps = pack_taps(scratch, d, plain_taps(d, widen_first(scratch, p)));
  T* shortcut = scratch.take<T>(round_up(p.out, kLanes) * p.in);
  pack_columns(p.shortcut, p.in, p.out, p.in, shortcut);
  const index blocks = (p.out + kLanes - 1) / kLanes;
  parallel(p.executor, p.images, p.images * d.count() * d.depth() * blocks, [&](index image) {
    Scratch own;
    T* x = own.zeros<T>(d.padded() * d.in);
    T* means = own.take<T>(p.pixels() * p.in);
    fill_blocks(p, p.x + image * p.height * p.width * p.in, x, means);
    const index at = image * p.pixels() * p.out;
    convolve_image(d, taps, places, x, z + at, moments + image * blocks);
    multiply_columns(p.out, p.pixels(), Rows<T>{means, p.in, p.in}, shortcut,
                     [&](index q, index j, auto v) __attribute__((always_inline)) {
                       store(out + at + q * p.out + j, v, p.out - j);
                     });
  });
}

template <class T>
void halve_second(const Halving<T>& p, const int32_t* places, const T* z, const Fold<T>& fold,
                  T* to, Moments* moments) {
  const DirectConvolution d = second_of(p);
  Scratch scratch;
  const auto taps = pack_taps(scratch, d, plain_taps(d, p.second));
  const index blocks = (p.out + kLanes - 1) / kLanes;
  parallel(p.executor, p.images, p.images * d.count() * d.depth() * blocks, [&](index image) {
    Scratch own;
    T* x = own.zeros<T>(d.padded() * d.in);
    const index at = image * p.pixels() * p.out;
    fill_normalised(d, z + at, fold, x);
    convolve_image(d, taps, places, x, to + at, moments + image * blocks);
  });
}

// The BN of a convolution of the block.
template <class T>
Fold<T> fold_of(Scratch& scratch, const Halving<T>& p, const T* statistics, index which) {
  const T* mean = statistics + 2 * which * p.out;
  return fold_norm(scratch, Norm<T>{}, mean, mean + p.out, p.out);
}

template <class T>
void halve(const Halving<T>& p, const HalvingValues<T>& to, T* out) {
  Scratch scratch;
  const auto* places = places_of(scratch, second_of(p));
  const index blocks = (p.out + kLanes - 1) / kLanes;
  auto* moments = scratch.zeros<Moments>(2 * p.images * blocks);
  const auto finish = [&](index which) {
    T* mean = to.statistics + 2 * which * p.out;
    finish_moments(moments + which * p.images * blocks, p.images, p.out, mean, mean + p.out);
    return fold_of(scratch, p, to.statistics, which);
  };
  halve_first(p, places, to.z[0], moments, out);
  halve_second(p, places, to.z[0], finish(0), to.z[1], moments + p.images * blocks);
  const Fold<T> fold = finish(1);
  parallel(p.executor, p.images, 2 * p.images * p.pixels() * blocks, [&](index image) {
    for_each_panel(p.out, [&](auto N, index j) {
      with_lanes<N>(p.out - j, [&](auto lanes) {
        const auto mean = load<N>(fold.mean + j), scale = load<N>(fold.scale + j);
        for (index q = image * p.pixels(); q < (image + 1) * p.pixels(); ++q) {
          const auto own = (load<N>(to.z[1] + q * p.out + j, lanes) - mean) * scale;
          store(out + q * p.out + j, load<N>(out + q * p.out + j, lanes) + own, lanes);
        }
      });
    });
  });
}

}  // namespace stnas::cpu::STNAS_ISA

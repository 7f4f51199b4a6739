// Depthwise convolution of one channel block: rows of vectors, several outputs along x in
// registers, the channels that a register holds at a time.
#pragma once

#include <type_traits>
#include <utility>

#include "host/simd.h"

namespace stnas::cpu::STNAS_ISA {

// A plane of one channel block: image row y, column x stands at data[((y - top) * pitch + left + x)
// * 16].
template <class T>
struct Plane {
  T* data;
  index top;
  index pitch;
  index left;
  STNAS_INLINE T* at(index y, index x) const {
    return data + ((y - top) * pitch + left + x) * kLanes;
  }
  STNAS_INLINE Plane lanes_from(index lane) const { return {data + lane, top, pitch, left}; }
};

template <int N, class F>
STNAS_INLINE void unroll(const F& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>{}), ...);
  }(std::make_integer_sequence<int, N>{});
}

// tile(width, x) over [0, count) in steps that compile-time widths cover (8, 7, 4, 2, 1), multiples
// of Least.
template <int Least, class Tile>
STNAS_INLINE void tile_row(index count, const Tile& tile) {
  index x = 0;
  while (x < count) {
    const index rest = count - x;
    if constexpr (Least == 1)
      if (rest == 14 || rest == 7) {
        tile(std::integral_constant<int, 7>{}, x), x += 7;
        continue;
      }
    if (rest >= 8) {
      tile(std::integral_constant<int, 8>{}, x), x += 8;
      continue;
    }
    if (rest >= 4 || Least == 4) {
      tile(std::integral_constant<int, 4>{}, x), x += 4;
      continue;
    }
    if constexpr (Least <= 2)
      if (rest >= 2 || Least == 2) {
        tile(std::integral_constant<int, 2>{}, x), x += 2;
        continue;
      }
    if constexpr (Least == 1) tile(std::integral_constant<int, 1>{}, x), x += 1;
  }
}

// Rows of K taps that fall inside [0, height) for the output row whose first tap lies at `first`.
struct Taps {
  index begin, end;
};
STNAS_INLINE Taps taps_inside(index first, index kernel, index height) {
  const index begin = first < 0 ? -first : 0;
  const index end = height - first < kernel ? height - first : kernel;
  return {begin, end};
}

// out[x] = sum_{i,j} in[y S - P + i, x S - P + j] w[i, j] for one output row y.
// Bare: the row has exactly Width columns, no padding in memory; taps outside are left out.
template <int K, int S, int Width, bool Bare, int N, class T>
STNAS_INLINE void convolve_tile(const Plane<const T>& in, index first, Taps taps, index x,
                                const T* w, T* out) {
  constexpr int P = K / 2;
  Vec<T, N> acc[Width];
  unroll<Width>([&](auto o) __attribute__((always_inline)) { acc[o] = zero<T, N>(); });
  for (index i = taps.begin; i < taps.end; ++i) {
    const T* row = in.at(first + i, Bare ? 0 : x * S - P);
    Vec<T, N> tap[K];
    const T* weights = w + i * K * kLanes;
    unroll<K>([&](auto j)
                  __attribute__((always_inline)) { tap[j] = load<N>(weights + j * kLanes); });
    unroll<(Width - 1) * S + K>([&](auto j) __attribute__((always_inline)) {
      constexpr int column = Bare ? j - P : j;
      if constexpr (!Bare || (column >= 0 && column < Width)) {
        const auto value = load<N>(row + column * kLanes);
        unroll<Width>([&](auto o) __attribute__((always_inline)) {
          constexpr int k = j - o * S;
          if constexpr (k >= 0 && k < K) acc[o] = acc[o] + value * tap[k];
        });
      }
    });
  }
  unroll<Width>([&](auto o)
                    __attribute__((always_inline)) { store(out + (x + o) * kLanes, acc[o]); });
}

// Channels at a time: those of a register, or of two where a narrow row leaves registers free.
template <class T, int Width>
constexpr int kRowLanes =
    Width == 0 || kRegisterLanes<T> == kLanes ? kRegisterLanes<T> : 2 * kRegisterLanes<T>;

// Every output row [begin, end) of a plane; out holds them densely, `width` vectors a row.
template <int K, int S, int Width, class T>
void convolve(Plane<const T> in, index height, index begin, index end, index width, const T* w,
              T* out) {
  for (index y = begin; y < end; ++y, out += width * kLanes) {
    const index first = y * S - K / 2;
    const Taps taps = taps_inside(first, K, height);
    for_each_part<kRowLanes<T, Width>>([&](auto lanes, index at) __attribute__((always_inline)) {
      const Plane<const T> from = in.lanes_from(at);
      if constexpr (Width > 0)
        convolve_tile<K, S, Width, true, lanes>(from, first, taps, 0, w + at, out + at);
      else
        tile_row<1>(width, [&](auto tile, index x) __attribute__((always_inline)) {
          convolve_tile<K, S, tile, false, lanes>(from, first, taps, x, w + at, out + at);
        });
    });
  }
}

template <class T>
using Convolve = void (*)(Plane<const T>, index, index, index, index, const T*, T*);

// Rows without padding serve stride 1 and narrow images: each width has code of its own.
constexpr int kBareWidths = kRegisterBytes == 64 ? 8 : 4;
constexpr bool is_bare(index stride, index width) { return stride == 1 && width <= kBareWidths; }

template <class T, int K, int... Width>
Convolve<T> find_bare(index width, std::integer_sequence<int, Width...>) {
  Convolve<T> found = nullptr;
  ((width == Width + 1 ? void(found = convolve<K, 1, Width + 1, T>) : void()), ...);
  return found;
}

template <class T, int K>
Convolve<T> find_convolve(index stride, index width) {
  if (is_bare(stride, width))
    return find_bare<T, K>(width, std::make_integer_sequence<int, kBareWidths>{});
  return stride == 1   ? convolve<K, 1, 0, T>
         : stride == 2 ? convolve<K, 2, 0, T>
                       : convolve<K, 4, 0, T>;
}

template <class T>
Convolve<T> find_convolve(index kernel, index stride, index width) {
  return kernel == 3   ? find_convolve<T, 3>(stride, width)
         : kernel == 5 ? find_convolve<T, 5>(stride, width)
                       : find_convolve<T, 7>(stride, width);
}

}  // namespace stnas::cpu::STNAS_ISA

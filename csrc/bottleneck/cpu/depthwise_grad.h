// Gradients of the depthwise convolution of one channel block.
#pragma once

#include "bottleneck/cpu/depthwise.h"
#include "host/activation.h"

namespace stnas::cpu::STNAS_ISA {

// The slope of the activation before the convolution: where cap > 0, 1 where 0 < plane < cap, else
// the plane itself.
template <class T>
struct Slope {
  Plane<const T> plane;
  float cap;
  STNAS_INLINE Slope lanes_from(index lane) const { return {plane.lanes_from(lane), cap}; }
};

// out[x] = slope * sum_{i,j} grad[(y + P - i) / S, (x + P - j) / S] w[i, j] for one input row y,
// over the taps that divide; x is a multiple of S. Bare: as in `convolve_tile`.
template <int K, int S, int Width, bool Bare, int N, class T>
STNAS_INLINE void spread_tile(const Plane<const T>& grad, index y, index out_height, index x,
                              index width, const T* w, const Slope<T>& slope, T* out) {
  constexpr int P = K / 2, kBefore = P / S, kAfter = (Width - 1 + P) / S;
  Vec<T, N> acc[Width];
  unroll<Width>([&](auto c) __attribute__((always_inline)) { acc[c] = zero<T, N>(); });
  for (index i = (y + P) % S; i < K; i += S) {
    const index from = (y + P - i) / S;
    if (y + P < i || from >= out_height) continue;
    const T* row = grad.at(from, Bare ? 0 : x / S - kBefore);
    Vec<T, N> tap[K];
    const T* weights = w + i * K * kLanes;
    unroll<K>([&](auto j)
                  __attribute__((always_inline)) { tap[j] = load<N>(weights + j * kLanes); });
    unroll<kBefore + kAfter + 1>([&](auto o) __attribute__((always_inline)) {
      constexpr int column = o - kBefore;
      if constexpr (!Bare || (column >= 0 && column < Width)) {
        const auto value = load<N>(row + (Bare ? column : int(o)) * kLanes);
        unroll<Width>([&](auto c) __attribute__((always_inline)) {
          constexpr int k = c + P - column * S;
          if constexpr (k >= 0 && k < K) acc[c] = acc[c] + value * tap[k];
        });
      }
    });
  }
  const T* gate = slope.plane.at(y, x);
  const auto cap = broadcast<N>(T(slope.cap));
  unroll<Width>([&](auto c) __attribute__((always_inline)) {
    if (S > 1 && x + c >= width) return;
    const auto at = load<N>(gate + c * kLanes);
    store(out + (x + c) * kLanes, slope.cap > 0 ? keep_between(acc[c], at, cap) : acc[c] * at);
  });
}

// Every input row [begin, end); out holds them densely, `width` vectors a row.
template <int K, int S, int Width, class T>
void spread(Plane<const T> grad, index out_height, index begin, index end, index width, const T* w,
            const Slope<T>& slope, T* out) {
  for (index y = begin; y < end; ++y, out += width * kLanes)
    for_each_part<kRowLanes<T, Width>>([&](auto lanes, index at) __attribute__((always_inline)) {
      const Plane<const T> from = grad.lanes_from(at);
      const Slope<T> by = slope.lanes_from(at);
      if constexpr (Width > 0)
        spread_tile<K, S, Width, true, lanes>(from, y, out_height, 0, width, w + at, by, out + at);
      else
        tile_row<S>(round_up(width, S), [&](auto tile, index x) __attribute__((always_inline)) {
          spread_tile<K, S, tile, false, lanes>(from, y, out_height, x, width, w + at, by,
                                                out + at);
        });
    });
}

// sum[j][.] += in[y S - P + i, x S - P + j] grad[y, x] over the Width columns from x; several
// copies of each sum keep the multiply-add pipes full.
template <int K, int S, int Width, bool Bare, int N, int Copies, class T>
STNAS_INLINE void correlate_tile(const T* in, const T* grad, Vec<T, N> (&sum)[K][Copies]) {
  constexpr int P = K / 2;
  Vec<T, N> right[Width];
  unroll<Width>([&](auto o)
                    __attribute__((always_inline)) { right[o] = load<N>(grad + o * kLanes); });
  unroll<(Width - 1) * S + K>([&](auto c) __attribute__((always_inline)) {
    constexpr int column = Bare ? c - P : c;
    if constexpr (!Bare || (column >= 0 && column < Width)) {
      const auto value = load<N>(in + column * kLanes);
      unroll<Width>([&](auto o) __attribute__((always_inline)) {
        constexpr int k = c - o * S;
        if constexpr (k >= 0 && k < K) sum[k][o % Copies] = sum[k][o % Copies] + value * right[o];
      });
    }
  });
}

// Row i of the weights' gradient over the output rows [top, bottom).
template <int K, int S, int Width, int N, class T>
STNAS_INLINE void correlate_band(const Plane<const T>& in, index height, index i, index top,
                                 index bottom, index width, const Plane<const T>& grad, T* w) {
  constexpr int P = K / 2, kCopies = kRegisterBytes == 64 ? (K == 3 ? 3 : 2) : K == 3 ? 2 : 1;
  Vec<T, N> sum[K][kCopies];
  for (auto& copies : sum)
    for (auto& copy : copies) copy = zero<T, N>();
  for (index y = top; y < bottom; ++y) {
    const index from = y * S - P + i;
    if (from < 0 || from >= height) continue;
    if constexpr (Width > 0)
      correlate_tile<K, S, Width, true>(in.at(from, 0), grad.at(y, 0), sum);
    else
      tile_row<1>(width, [&](auto tile, index x) __attribute__((always_inline)) {
        correlate_tile<K, S, tile, false>(in.at(from, x * S - P), grad.at(y, x), sum);
      });
  }
  unroll<K>([&](auto j) __attribute__((always_inline)) {
    T* to = w + j * kLanes;
    auto total = load<N>(to);
    unroll<kCopies>([&](auto c) __attribute__((always_inline)) { total = total + sum[j][c]; });
    store(to, total);
  });
}

// w[i, j] += sum_{y,x} in[y S - P + i, x S - P + j] grad[y, x] over output rows [begin, end), in
// bands of rows that stay in the L1 cache.
template <int K, int S, int Width, class T>
void correlate_planes(Plane<const T> in, index height, index begin, index end, index width,
                      Plane<const T> grad, T* w) {
  const index band = width < 256 ? 256 / width : 1;
  for (index top = begin; top < end; top += band) {
    const index bottom = top + band < end ? top + band : end;
    for (index i = 0; i < K; ++i)
      for_each_part<kRowLanes<T, Width>>([&](auto lanes, index at) __attribute__((always_inline)) {
        correlate_band<K, S, Width, lanes>(in.lanes_from(at), height, i, top, bottom, width,
                                           grad.lanes_from(at), w + i * K * kLanes + at);
      });
  }
}

template <class T>
struct DepthwiseGradient {
  void (*data)(Plane<const T>, index, index, index, index, const T*, const Slope<T>&, T*);
  void (*weight)(Plane<const T>, index, index, index, index, Plane<const T>, T*);
};

template <class T, int K, int... Width>
DepthwiseGradient<T> find_bare_gradient(index width, std::integer_sequence<int, Width...>) {
  DepthwiseGradient<T> found{};
  ((width == Width + 1
        ? void(found = {spread<K, 1, Width + 1, T>, correlate_planes<K, 1, Width + 1, T>})
        : void()),
   ...);
  return found;
}

template <class T, int K>
DepthwiseGradient<T> find_gradient(index stride, index width) {
  if (is_bare(stride, width))
    return find_bare_gradient<T, K>(width, std::make_integer_sequence<int, kBareWidths>{});
  if (stride == 1) return {spread<K, 1, 0, T>, correlate_planes<K, 1, 0, T>};
  if (stride == 2) return {spread<K, 2, 0, T>, correlate_planes<K, 2, 0, T>};
  return {spread<K, 4, 0, T>, correlate_planes<K, 4, 0, T>};
}

template <class T>
DepthwiseGradient<T> find_gradient(index kernel, index stride, index width) {
  return kernel == 3   ? find_gradient<T, 3>(stride, width)
         : kernel == 5 ? find_gradient<T, 5>(stride, width)
                       : find_gradient<T, 7>(stride, width);
}

}  // namespace stnas::cpu::STNAS_ISA

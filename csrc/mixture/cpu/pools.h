// Both pools of a node in one pass over x, and their gradient in another.
#pragma once

#include <cmath>

#include "host/moments.h"
#include "host/partial_sums.h"
#include "mixture/pools.h"

namespace stnas::cpu::STNAS_ISA {

// Rows [top, bottom) and columns [left, right) of the window around a pixel of the result.
struct Window {
  index top, bottom, left, right, y, x;

  template <class T>
  STNAS_INLINE Window(const PoolsProblem<T>& p, index row, index column)
      : y(row * p.stride), x(column * p.stride) {
    top = most(y - 1, 0), bottom = least(y + 2, p.height);
    left = most(x - 1, 0), right = least(x + 2, p.width);
  }
  STNAS_INLINE index count() const { return (bottom - top) * (right - left); }
  // use(place in the window, pixel of x) for each pixel that is there, unrolled where all are.
  template <class Use>
  STNAS_INLINE void for_each(index width, const Use& use) const {
    if (count() == 9) {
#pragma GCC unroll 3
      for (index i = 0; i < 3; ++i)
#pragma GCC unroll 3
        for (index j = 0; j < 3; ++j) use(3 * i + j, (top + i) * width + left + j);
      return;
    }
    for (index i = top; i < bottom; ++i)
      for (index j = left; j < right; ++j) use(3 * (i - y + 1) + j - x + 1, i * width + j);
  }
};

// use(row, column, pixel) for every pixel of the result.
template <class T, class Use>
STNAS_INLINE void for_each_window(const PoolsProblem<T>& p, const Use& use) {
  for (index row = 0, pixel = 0; row < p.rows(); ++row)
    for (index column = 0; column < p.columns(); ++column, ++pixel)
      use(Window(p, row, column), pixel);
}

// Chunks of images, a function of their number alone.
template <class T, class Task>
void for_each_images(const PoolsProblem<T>& p, const Task& task) {
  const index chunks = least(p.images, 64);
  parallel(p.executor, chunks, p.images * p.pixels() * (p.channels + 15), [&](index chunk) {
    task(chunk * p.images / chunks, (chunk + 1) * p.images / chunks, chunk);
  });
}

template <int N, class T>
STNAS_INLINE void store_places(uint8_t* to, Vec<T, N> v, index lanes) {
  T lane[N];
  store(lane, v);
  for (index i = 0; i < least(N, lanes); ++i) to[i] = uint8_t(lane[i]);
}

template <int N, class T>
STNAS_INLINE Vec<T, N> load_places(const uint8_t* from, index lanes) {
  T lane[N] = {};
  for (index i = 0; i < least(N, lanes); ++i) lane[i] = T(from[i]);
  return load<N>(lane);
}

// Maximum, its place and mean of the windows of an image, of the channels from j on.
template <int N, class T>
void pool_image(const PoolsProblem<T>& p, index image, index j) {
  const index lanes = p.channels - j, first = image * p.pixels();
  const T* x = p.x + image * p.height * p.width * p.channels + j;
  for_each_window(p, [&](const Window& window, index pixel) __attribute__((always_inline)) {
    auto best = broadcast<N>(T(-INFINITY)), place = zero<T, N>(), total = zero<T, N>();
    window.for_each(p.width, [&](index at, index from) __attribute__((always_inline)) {
      const auto value = load<N>(x + from * p.channels, lanes);
      place = where_less(best, value, broadcast<N>(T(at)), place);
      best = where_less(best, value, value, best);
      total = total + value;
    });
    const index to = (first + pixel) * p.channels + j;
    store(p.out[0] + to, best, lanes);
    store(p.out[1] + to, total * broadcast<N>(T(1) / T(window.count())), lanes);
    store_places<N>(p.places + to, place, lanes);
  });
}

// Adds the moments of pixels of one result, of the channels from j on.
template <int N, class T>
void add_pixels(const T* values, index channels, index count, index j, Moments& to) {
  const index lanes = channels - j;
  auto total = zero<T, N>(), squares = zero<T, N>(), rest = zero<T, N>();
  for (index q = 0; q < count; ++q) total = total + load<N>(values + q * channels + j, lanes);
  const auto mean = total * broadcast<N>(T(1) / T(count));
  for (index q = 0; q < count; ++q) {
    const auto gap = load<N>(values + q * channels + j, lanes) - mean;
    squares = squares + gap * gap;
    rest = rest + gap;
  }
  double means[kLanes] = {}, sums[kLanes] = {}, rests[kLanes] = {};
  add_lanes(mean, means), add_lanes(squares, sums), add_lanes(rest, rests);
  for (int i = 0; i < N; ++i) means[i] += rests[i] / double(count);
  to.merge(double(count), means, sums);
}

// Normalises pixels of one result in place.
template <int N, class T>
void normalise_pixels(T* values, index channels, index count, index j, const T* mean,
                      const T* inverse) {
  const index lanes = channels - j;
  const auto shift = load<N>(mean + j, lanes), scale = load<N>(inverse + j, lanes);
  for (index q = 0; q < count; ++q) {
    T* at = values + q * channels + j;
    store(at, (load<N>(at, lanes) - shift) * scale, lanes);
  }
}

// Means [2, channels] and 1 / std from the chunks' moments [chunk][result][block]. A value that is
// no number makes the mean one, and with it the maximum, as every pixel is in a window.
template <class T>
void finish_pools(const PoolsProblem<T>& p, const Moments* moments, index chunks, T* mean) {
  const index blocks = (p.channels + kLanes - 1) / kLanes;
  for (index b = 0; b < blocks; ++b) {
    Moments total[2];
    for (index c = 0; c < chunks; ++c)
      for (int k = 0; k < 2; ++k) total[k].merge(moments[(2 * c + k) * blocks + b]);
    for (index i = 0; i < least(kLanes, p.channels - b * kLanes); ++i)
      for (int k = 0; k < 2; ++k) {
        const index at = k * p.channels + b * kLanes + i;
        const double own = total[k].mean[i];
        mean[at] = T(std::isnan(total[1].mean[i]) ? total[1].mean[i] : own);
        p.inverse[at] = T(1 / std::sqrt(total[k].squares[i] / total[k].count + kEpsilon));
      }
  }
}

template <class T>
void pool(const PoolsProblem<T>& p) {
  const index blocks = (p.channels + kLanes - 1) / kLanes, chunks = least(p.images, 64);
  const index image = p.pixels() * p.channels;
  Scratch scratch;
  auto* moments = scratch.zeros<Moments>(2 * chunks * blocks);
  T* mean = scratch.take<T>(2 * p.channels);
  for_each_images(p, [&](index begin, index end, index chunk) {
    for (index n = begin; n < end; ++n)
      for_each_panel(p.channels, [&](auto lanes, index j) __attribute__((always_inline)) {
        pool_image<lanes>(p, n, j);
        for (int k = 0; k < 2; ++k)
          add_pixels<lanes>(p.out[k] + n * image, p.channels, p.pixels(), j,
                            moments[(2 * chunk + k) * blocks + j / kLanes]);
      });
  });
  finish_pools(p, moments, chunks, mean);
  for_each_images(p, [&](index begin, index end, index) {
    for (int k = 0; k < 2; ++k)
      for_each_panel(p.channels, [&](auto lanes, index j) __attribute__((always_inline)) {
        normalise_pixels<lanes>(p.out[k] + begin * image, p.channels, (end - begin) * p.pixels(), j,
                                mean + k * p.channels, p.inverse + k * p.channels);
      });
  });
}

// v where a is b, else 0.
template <class T, int N>
STNAS_INLINE Vec<T, N> keep_equal(Vec<T, N> v, Vec<T, N> a, Vec<T, N> b) {
  using V = Vec<T, N>;
  STNAS_EACH_PART(V) {
    const auto same = a.part[p] == b.part[p];
    v.part[p] = (typename V::Part)((decltype(same))v.part[p] & same);
  }
  return v;
}

// What the BN of a result takes off its gradient g: dv = r (g - offset - out pull).
template <class T>
struct PoolGradient {
  const T *grad, *out, *inverse;
  T *offset, *pull;  // [channels]

  template <int N>
  STNAS_INLINE Vec<T, N> at(index pixel, index channels, index j) const {
    const index lanes = channels - j, from = pixel * channels + j;
    const auto of = [&](const T* v)
                        __attribute__((always_inline)) { return load<N>(v + j, lanes); };
    return (load<N>(grad + from, lanes) - of(offset) - load<N>(out + from, lanes) * of(pull)) *
           of(inverse);
  }
};

template <class T>
PoolGradient<T> pool_gradient(Scratch& scratch, const PoolsProblem<T>& p, const T* grad, int k) {
  const index channels = p.channels, chunks = least(p.images, 64);
  const index padded = round_up(channels, kLanes);
  double* sums = scratch.zeros<double>(chunks * 2 * padded);
  for_each_images(p, [&](index begin, index end, index chunk) {
    double* own = sums + chunk * 2 * padded;
    for_each_panel(channels, [&](auto lanes, index j) __attribute__((always_inline)) {
      auto plain = zero<T, lanes>(), product = zero<T, lanes>();
      for (index q = begin * p.pixels(); q < end * p.pixels(); ++q) {
        const auto value = load<lanes>(grad + q * channels + j, channels - j);
        plain = plain + value;
        product = product + value * load<lanes>(p.out[k] + q * channels + j, channels - j);
      }
      add_lanes(plain, own + j), add_lanes(product, own + padded + j);
    });
  });
  add_parts(p.executor, chunks, 2 * padded, sums);
  const double count = double(p.images * p.pixels());
  PoolGradient<T> to{grad, p.out[k], p.inverse + k * channels, scratch.take<T>(channels),
                     scratch.take<T>(channels)};
  for (index c = 0; c < channels; ++c) {
    to.offset[c] = T(sums[c] / count);
    to.pull[c] = T(sums[padded + c] / count);
  }
  return to;
}

template <class T>
void differentiate_pools(const PoolsProblem<T>& p, const T* const grad[2], T* of_x) {
  Scratch scratch;
  const auto largest = pool_gradient(scratch, p, grad[0], 0);
  const auto mean = pool_gradient(scratch, p, grad[1], 1);
  const index size = p.height * p.width * p.channels, channels = p.channels;
  for_each_images(p, [&](index begin, index end, index) {
    for (index n = begin; n < end; ++n) {
      T* own = of_x + n * size;
      __builtin_memset((void*)own, 0, sizeof(T) * size_t(size));
      for_each_panel(channels, [&](auto lanes, index j) __attribute__((always_inline)) {
        for_each_window(p, [&](const Window& window, index pixel) __attribute__((always_inline)) {
          const index at = n * p.pixels() + pixel;
          const auto place = load_places<lanes, T>(p.places + at * channels + j, channels - j);
          const auto of_largest = largest.template at<lanes>(at, channels, j);
          const auto share =
              mean.template at<lanes>(at, channels, j) * broadcast<lanes>(T(1) / T(window.count()));
          window.for_each(p.width, [&](index in, index to) __attribute__((always_inline)) {
            T* target = own + to * channels + j;
            const auto more = share + keep_equal(of_largest, place, broadcast<lanes>(T(in)));
            store(target, load<lanes>(target, channels - j) + more, channels - j);
          });
        });
      });
    }
  });
}

}  // namespace stnas::cpu::STNAS_ISA

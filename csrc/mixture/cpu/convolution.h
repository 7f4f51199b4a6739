// The convolutions of the edges that leave a node. ReLU is applied as an image is padded, the
// moments of z are taken while an image of it is in the cache, and the gradient of z is made where
// it is read, for the gradients of x and of the kernel at once.
#pragma once

#include "host/direct.h"
#include "host/moments.h"
#include "host/partial_sums.h"
#include "mixture/convolution.h"
#include "mixture/cpu/panels.h"

namespace stnas::cpu::STNAS_ISA {

template <class T>
DirectConvolution direct(const EdgeConvolutions<T>& p) {
  return {p.height, p.width, p.channels, p.out, p.size};
}

// max(x, 0) of an image whose surroundings are zeros.
template <class T>
void fill_rectified(const DirectConvolution& d, const T* x, T* to) {
  const index row = d.width * d.in;
  for (index r = 0; r < d.height; ++r, x += row) {
    T* own = to + d.begin(r) * d.in;
    index k = 0;
    for (; k + kLanes <= row; k += kLanes) store(own + k, at_least(zero<T>(), load(x + k)));
    for (; k < row; ++k) own[k] = x[k] < 0 ? T(0) : x[k];
  }
}

// z of an image, and its moments, one a block of channels, while it is in the cache.
template <class T>
void convolve_image(const DirectConvolution& d, const PackedTaps<T>& taps, const int32_t* places,
                    const T* x, T* z, Moments* moments) {
  convolve_directly(d, taps, places, x,
                    [&](index q, index j, auto v) { store(z + q * d.out + j, v, d.out - j); });
  for_each_panel(d.out, [&](auto lanes, index j) {
    add_panel<lanes>(moments[j / kLanes], z + j, d.height * d.width, d.out, d.out - j);
  });
}

template <class T>
void convolve_edges(const EdgeConvolutions<T>& p, T* z, T* statistics) {
  const DirectConvolution d = direct(p);
  Scratch scratch;
  const index blocks = (p.out + kLanes - 1) / kLanes;
  const auto taps = pack_taps(scratch, d, plain_taps(d, p.kernel));
  const auto* places = places_of(scratch, d);
  auto* moments = scratch.zeros<Moments>(p.images * blocks);
  parallel(p.executor, p.images, p.images * d.count() * d.depth() * blocks, [&](index image) {
    Scratch own;
    T* x = own.zeros<T>(d.padded() * d.in);
    fill_rectified(d, p.x + image * p.pixels() * d.in, x);
    convolve_image(d, taps, places, x, z + image * p.pixels() * d.out, moments + image * blocks);
  });
  finish_moments(moments, p.images, p.out, statistics, statistics + p.out);
}

// The gradient of z of an image, its surroundings zeros.
template <class T>
void fill_gradient(const EdgeConvolutions<T>& p, const EdgeGradients<T>& from, index image, T* to) {
  const DirectConvolution d = direct(p);
  for (index e = 0; e < p.edges(); ++e)
    for_each_panel(p.channels, [&](auto N, index j) {
      with_lanes<N>(p.channels - j, [&](auto lanes) {
        const T* own = from.corrections[e] + j;
        Vec<T, N> terms[4];
        for (auto& term : terms) term = load<N>(own, lanes), own += p.channels;
        const T* z = from.z + image * p.pixels() * p.out + e * p.channels + j;
        const T* g = from.grads[e] + image * p.pixels() * p.channels + j;
        for (index r = 0; r < p.height; ++r) {
          T* at = to + d.begin(r) * p.out + e * p.channels + j;
          for (index w = 0; w < p.width; ++w, at += p.out, z += p.out, g += p.channels) {
            const auto pull = (load<N>(z, lanes) - terms[0]) * terms[3];
            store(at, (load<N>(g, lanes) * terms[1] - terms[2]) - pull, lanes);
          }
        }
      });
    });
}

// The channels of an image's padded gradient that go by pairs of pixels, 8 a pixel.
template <class T>
const T* take_pairs(const DirectConvolution& d, const T* g, T* to) {
  if (d.out == kHalf) return g;
  for (index q = 0; q < d.count(); ++q)
    store(to + q * kHalf, load<kHalf>(g + q * d.out + d.single(), d.out - d.single()));
  return to;
}

// Memory of a thread for an image: the padded gradient of a result, the padded values that are
// convolved, and the channels that go by pairs.
template <class T>
struct GradientBuffers {
  T *g, *x, *pairs;

  GradientBuffers(Scratch& scratch, const DirectConvolution& d)
      : g(scratch.zeros<T>(d.padded() * d.out + kLanes)),
        x(scratch.zeros<T>(d.padded() * d.in)),
        pairs(scratch.take<T>(d.count() * kHalf)) {}
  void add(const DirectConvolution& d, T* sums) const {
    const T* first = g + d.begin(0) * d.out;
    add_taps(d, x, first, d.has_pairs() ? take_pairs(d, first, pairs) : nullptr, sums);
  }
};

// Adds the gradient of x where x > 0.
template <class T>
void add_input_gradient(const DirectConvolution& back, const PackedTaps<T>& taps,
                        const int32_t* places, const T* g, const T* x, T* of_x) {
  convolve_directly(back, taps, places, g, [&](index q, index j, auto v) {
    constexpr int N = decltype(v)::kParts * decltype(v)::kPartLanes;
    const index at = q * back.out + j, lanes = back.out - j;
    const auto none = zero<T, N>();
    v = where_less(none, load<N>(x + at, lanes), v, none);
    store(of_x + at, load<N>(of_x + at, lanes) + v, lanes);
  });
}

// Calls use(image, buffers, sum) for all images, in chunks, a function of the sizes alone, of one
// sum [size] each of the gradients of kernels. Returns the sum of these, or null, which then is
// each sum, where none is `wanted`.
template <class T, class Use>
const T* sum_over_images(Scratch& scratch, const Executor& executor, const DirectConvolution& d,
                         index images, index size, bool wanted, const Use& use) {
  const index chunks = wanted ? least(images, most(4, 65536 / size)) : images;
  T* sums = wanted ? scratch.zeros<T>(chunks * size) : nullptr;
  const index work = images * d.count() * size / kLanes * (wanted ? 2 : 1);
  parallel(executor, chunks, work, [&](index chunk) {
    Scratch own;
    const GradientBuffers<T> buffers(own, d);
    for (index i = chunk * images / chunks; i < (chunk + 1) * images / chunks; ++i)
      use(i, buffers, wanted ? sums + chunk * size : nullptr);
  });
  if (wanted) add_parts(executor, chunks, size, sums);
  return sums;
}

template <class T>
void differentiate_edges(const EdgeConvolutions<T>& p, const EdgeGradients<T>& from, T* of_x,
                         T* of_kernel) {
  const DirectConvolution d = direct(p);
  Scratch scratch;
  const index area = p.size * p.size, pixels = p.pixels() * p.channels;
  const auto taps = pack_taps(scratch, turned(d), turned_taps(d, p.kernel));
  const auto* places = places_of(scratch, d);
  const auto through = [&](index i, const GradientBuffers<T>& buffers, T* sum) {
    fill_gradient(p, from, i, buffers.g);
    add_input_gradient(turned(d), taps, places, buffers.g, p.x + i * pixels, of_x + i * pixels);
    if (!sum) return;
    fill_rectified(d, p.x + i * pixels, buffers.x);
    buffers.add(d, sum);
  };
  const T* sums =
      sum_over_images<T>(scratch, p.executor, d, p.images, tap_sums(d), of_kernel, through);
  if (!sums) return;
  for_each_tap_sum(d, sums, [&](index o, index i, index tap, T value) {
    of_kernel[(o * p.channels + i) * area + tap] = value;
  });
}

}  // namespace stnas::cpu::STNAS_ISA

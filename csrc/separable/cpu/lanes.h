// Pixels of NHWC images in the lanes of blocks: 16 channels of an image, or the few channels of
// several images side by side; and how the batch is cut into units.
#pragma once

#include "host/activation.h"
#include "host/parallel.h"
#include "host/scratch.h"
#include "separable/problem.h"

namespace stnas::cpu::STNAS_ISA {

// Groups of images [first, first + count) whose lanes are all in use, or the last one alone.
struct ImageGroups {
  index first, count;
  index images;  // of each group
};

// Units of about as many pixels as stay in the L1 cache, in chunks: functions of the shape alone,
// so that no result depends on the number of threads.
struct GroupPlan {
  index images, together, groups, whole, size, units, chunks, work;

  ImageGroups unit(index u) const {
    const index first = u * size;
    if (first >= whole) return {whole, 1, images - whole * together};
    return {first, least(size, whole - first), together};
  }
  // task(unit, chunk) for every unit, those of a chunk in order on one thread.
  template <class Task>
  void for_each(const Executor& executor, const Task& task) const {
    parallel(executor, chunks, work, [&](index chunk) {
      for (index u = chunk * units / chunks; u < (chunk + 1) * units / chunks; ++u)
        task(unit(u), chunk);
    });
  }
};

constexpr index kUnitPixels = 256;
constexpr index kPartialSums = index{1} << 21;

template <class T>
GroupPlan group_plan(const SeparableProblem<T>& p) {
  const index whole = p.images / p.together(), in = p.in_blocks() * kLanes;
  const index size = most(1, kUnitPixels / p.pixels());
  const index units = (whole + size - 1) / size + (p.groups() - whole);
  const index partial = in * (in + p.out_blocks() * kLanes);
  const index chunks = least(units, least(64, most(4, kPartialSums / partial)));
  return {p.images, p.together(), p.groups(), whole,
          size,     units,        chunks,     32 * p.groups() * p.pixels() * p.in_blocks()};
}

// use(integral constant) for the number of lanes of an image.
template <class Use>
STNAS_INLINE void with_lanes(index lanes, const Use& use) {
  if (lanes == kLanes)
    use(std::integral_constant<int, kLanes>{});
  else if (lanes == kLanes / 2)
    use(std::integral_constant<int, kLanes / 2>{});
  else if (lanes == kLanes / 4)
    use(std::integral_constant<int, kLanes / 4>{});
  else
    use(std::integral_constant<int, kLanes / 8>{});
}

// Every `step`-th pixel of rows of NHWC images of `channels`.
struct PixelGrid {
  index height, width, channels, step, top, left;

  STNAS_INLINE index rows() const { return (height - top + step - 1) / step; }
  STNAS_INLINE index columns() const { return (width - left + step - 1) / step; }
  STNAS_INLINE index at(index image, index y) const {
    return ((image * height + top + y * step) * width + left) * channels;
  }
};

// Block b of the pixels of a group, with ReLU, where `to(y)` points at row y of vectors.
template <class T, class To>
void load_images(const T* x, const PixelGrid& from, index group, index images, index lanes, index b,
                 const To& to) {
  with_lanes(lanes, [&](auto width) __attribute__((always_inline)) {
    constexpr index kTogether = kLanes / width;
    const index count = from.channels - b * kLanes, step = from.step * from.channels;
    for (index f = 0; f < images; ++f)
      for (index y = 0; y < from.rows(); ++y) {
        const T* row = x + from.at(group * kTogether + f, y) + b * kLanes;
        T* target = to(y) + f * width;
        for (index i = 0; i < from.columns(); ++i, row += step, target += kLanes)
          store(target, Relu::value(load<width>(row, count)));
      }
  });
}

// The opposite without ReLU: vectors, dense, to the pixels of a group.
template <class T>
void store_images(const T* vectors, T* x, const PixelGrid& to, index group, index images,
                  index lanes, index b) {
  with_lanes(lanes, [&](auto width) __attribute__((always_inline)) {
    constexpr index kTogether = kLanes / width;
    const index count = to.channels - b * kLanes, step = to.step * to.channels;
    for (index f = 0; f < images; ++f) {
      const T* from = vectors + f * width;
      for (index y = 0; y < to.rows(); ++y) {
        T* row = x + to.at(group * kTogether + f, y) + b * kLanes;
        for (index i = 0; i < to.columns(); ++i, row += step, from += kLanes)
          store(row, load<width>(from), count);
      }
    }
  });
}

// Pixels [first, first + count) of a group, all blocks, to [block][count][16], blocks `step` apart.
template <class T>
void load_pixels(const T* x, index channels, index pixels, index group, index images, index lanes,
                 index first, index count, index step, T* to) {
  with_lanes(lanes, [&](auto width) __attribute__((always_inline)) {
    constexpr index kTogether = kLanes / width;
    if (images < kTogether) __builtin_memset((void*)to, 0, sizeof(T) * size_t(count * kLanes));
    for (index f = 0; f < images; ++f)
      for (index b = 0; b * kLanes < channels; ++b) {
        const T* row = x + ((group * kTogether + f) * pixels + first) * channels + b * kLanes;
        T* target = to + b * step + f * width;
        for (index i = 0; i < count; ++i, row += channels, target += kLanes)
          store(target, load<width>(row, channels - b * kLanes));
      }
  });
}

}  // namespace stnas::cpu::STNAS_ISA

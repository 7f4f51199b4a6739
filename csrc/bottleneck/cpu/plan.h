// How a batch is cut into units of work that stay in the L2 cache, and units into chunks.
#pragma once

#include "bottleneck/problem.h"
#include "host/parallel.h"

namespace stnas::cpu::STNAS_ISA {

// A group of whole images, or a strip of output rows of one image.
struct Unit {
  index image, images;
  Range rows;   // output rows
  Range owned;  // input rows that belong to no other strip
};

// Small images go in groups, large ones in strips. Sums run over the groups of a chunk in order,
// then over the chunks in order: a function of the shape alone, so that no result depends on the
// number of threads.
struct Plan {
  Shape shape;
  index group, groups, strips, strip_rows, chunks;

  index first_group(index chunk) const { return chunk * groups / chunks; }
  Unit unit(index g, index strip) const {
    const index image = g * group;
    const Range rows{strip * strip_rows, least((strip + 1) * strip_rows, shape.out_height())};
    return {image,
            least(group, shape.images - image),
            rows,
            {rows.begin * shape.stride, least(rows.end * shape.stride, shape.height)}};
  }
  // Input rows that the output rows of a strip read; whole images have all of theirs.
  Range inputs(const Unit& unit) const {
    if (strips == 1) return {0, shape.height};
    const index pad = shape.kernel / 2;
    return {most(0, unit.rows.begin * shape.stride - pad),
            least(shape.height, (unit.rows.end - 1) * shape.stride + pad + 1)};
  }
  // Output rows that the input rows of a strip reach.
  Range outputs(const Unit& unit) const {
    if (strips == 1) return {0, shape.out_height()};
    const index pad = shape.kernel / 2, stride = shape.stride;
    const index first = unit.owned.begin + pad - (shape.kernel - 1);
    return {most(0, first <= 0 ? 0 : (first + stride - 1) / stride),
            least(shape.out_height(), (unit.owned.end - 1 + pad) / stride + 1)};
  }
};

constexpr index kGroupPixels = 256;  // a plane of one block is 16 KiB: L1
constexpr index kStripPixels = 1600;
constexpr index kPartialValues = index{1} << 21;

inline Plan make_plan(const Shape& shape) {
  Plan plan{shape, 1, 0, 1, shape.out_height(), 0};
  const index pixels = shape.pixels();
  if (pixels <= kGroupPixels) plan.group = least(shape.images, kGroupPixels / pixels);
  if (pixels > kStripPixels) {
    const index strips = least(shape.out_height(), (pixels + kStripPixels - 1) / kStripPixels);
    plan.strip_rows = (shape.out_height() + strips - 1) / strips;
    plan.strips = (shape.out_height() + plan.strip_rows - 1) / plan.strip_rows;
  }
  plan.groups = (shape.images + plan.group - 1) / plan.group;
  const index partial = shape.padded() * (shape.in + shape.out + shape.kernel * shape.kernel);
  plan.chunks = least(plan.groups, least(64, most(4, kPartialValues / partial)));
  return plan;
}

// task(group, chunk) for every group, the groups of a chunk in order on one thread. The task does
// several operations on each vector of the expanded tensor.
template <class F>
void for_each_group(const Plan& plan, const Executor& executor, const F& task) {
  const Shape& s = plan.shape;
  parallel(executor, plan.chunks, 8 * s.images * s.pixels() * s.blocks(), [&](index chunk) {
    for (index g = plan.first_group(chunk); g < plan.first_group(chunk + 1); ++g) task(g, chunk);
  });
}

// task(block) for every channel block; work: of one block.
template <class F>
void for_each_block(const Shape& shape, const Executor& executor, index work, const F& task) {
  parallel(executor, shape.blocks(), shape.blocks() * work, task);
}

// [block][columns][16] as [M, columns].
template <class T>
void unpack_columns(const Shape& s, const Executor& executor, const T* from, index columns, T* to) {
  for_each_block(s, executor, columns * kLanes, [&](index b) {
    for (index i = b * kLanes; i < least(s.hidden, (b + 1) * kLanes); ++i)
      for (index c = 0; c < columns; ++c)
        to[i * columns + c] = from[(b * columns + c) * kLanes + i % kLanes];
  });
}

}  // namespace stnas::cpu::STNAS_ISA

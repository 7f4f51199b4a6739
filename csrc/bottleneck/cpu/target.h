// The last BN, the residual and the sum of the target node in one pass, and in the same pass the
// moments of the node once its last edge is there.
#pragma once

#include "bottleneck/cpu/input_moments.h"

namespace stnas::cpu::STNAS_ISA {

template <class T, class S>
struct NodeSum {
  const Problem<T, S>& p;
  const Target<T, S>& to;
  const S* projected;
  const T* patterns;  // of the last BN: mean, scale, bias
  index period;

  // Rows [first, first + pixels) of the node's value into dense rows.
  void fill(index first, index pixels, S* rows) const {
    const index start = first * p.shape.out;
    const S *y = projected + start, *x = p.residual ? p.x + start : nullptr;
    const S* before = to.add ? to.out + start : nullptr;
    const auto divisor = broadcast(to.divisor);
    for_each_vector(pixels, p.shape.out, [&](index at, index phase, index lanes) {
      const T* by = patterns + phase;
      auto value = (load(y + at, lanes) - load(by)) * load(by + period) + load(by + 2 * period);
      if (x) value = value + load(x + at, lanes);
      if (before) value = load(before + at, lanes) + value;
      for (index i = 0; i < to.others; ++i) value = value + load(to.also[i] + start + at, lanes);
      if (to.divisor != T(1)) value = value / divisor;
      store(rows + at, value, lanes);
    });
  }
};

template <class T, class S>
void sweep_target(const Problem<T, S>& p, const Saved<T, S>& saved, const Target<T, S>& to) {
  const Shape& s = p.shape;
  Scratch scratch;
  const T* third = saved.statistics + 4 * s.hidden;
  const auto fold = fold_norm(scratch, p.norms[2], third, third + s.out, s.out);
  const index period = pattern_vectors(s.out) * kLanes, pixels = s.out_pixels();
  T* patterns = scratch.take<T>(3 * period);
  repeat_pattern(fold.mean, s.out, patterns);
  repeat_pattern(fold.scale, s.out, patterns + period);
  repeat_pattern(fold.bias, s.out, patterns + 2 * period);
  const NodeSum<T, S> sum{p, to, saved.projected, patterns, period};
  const Node<T, S> node{to.out, s.images, s.out_height(), s.out_width(), s.out, p.executor};
  const Plan plan = node_plan(node);
  MomentSums<T> sums{};
  if (to.moments) {
    S* image = scratch.take<S>(pixels * s.out);
    sum.fill(0, pixels, image);
    sums = start_sums(scratch, node, image, plan.chunks);
  }
  for_each_run(node, plan, [&](index first, index count, index chunk) {
    S* rows = to.out + first * s.out;
    sum.fill(first, count, rows);
    if (to.moments) add_products(rows, count, s.out, sums.pattern, sums.chunk(chunk));
  });
  if (to.moments) finish_sums(sums, plan.chunks, double(s.images * pixels), to.moments);
}

}  // namespace stnas::cpu::STNAS_ISA

// Second backward sweep where the expanded tensor is made anew: of dz1 only what the expand BN
// needs, dx0 = dz1 W, sum dz1, sum x dz1; the BN's own gradient is linear in x and is corrected
// afterwards.
#pragma once

#include "bottleneck/cpu/gradient_expand.h"

namespace stnas::cpu::STNAS_ISA {

template <class T, class S>
struct RecomputedSweep {
  HiddenGradient<T, S> hidden;
  const Operand<S>* panels;  // scaled expand weights [in / 16][M][16]
};

// sum dz1 and sum (x - mean) dz1 of one block and `pixels` pixels.
template <class T, class O>
void add_expand_sums(const Shape& s, index b, index pixels, const Columns<O>& x, const T* dz,
                     O* buffer, const HiddenPartial<T>& partial) {
  T* plain = partial.plain + b * kLanes;
  store(plain, load(plain) + column_sums(pixels, dz, kLanes));
  correlate(s.in, pixels, x.data, x.lda, operand_vectors<O>(dz, pixels, buffer), kLanes,
            [&](index c, Vec<T> v) __attribute__((always_inline)) {
              T* to = partial.expand + (b * s.in + c) * kLanes;
              store(to, load(to) + v);
            });
}

// dx0 = dz1 W of one unit into grad_x, and its part of the sums.
template <class Act, class T, class S>
void expand_unit(const RecomputedSweep<T, S>& sweep, const Unit& unit,
                 const HiddenPartial<T>& partial, T* grad_x) {
  const Shape& s = sweep.hidden.project.p.shape;
  // Groups hold whole images, so that their pixels are one run; strips have one image.
  const index image = unit.owned.count() * s.width, pixels = unit.images * image;
  using O = Operand<S>;
  Scratch scratch;
  const auto at = fill_buffers<Act>(scratch, sweep.hidden, unit);
  const index depth = sweep.hidden.input.expand.depth;
  const index skipped = (unit.owned.begin - at.inputs.begin) * s.width;
  const auto x = operand_columns<O>(scratch, {at.x + skipped * depth, depth, depth}, pixels, s.in);
  const auto dz = take_tile<O>(scratch, s, pixels);
  T* wide = take_vectors<T, O>(scratch, pixels);
  O* pairs = take_vectors<O, T>(scratch, pixels);
  for_each_hidden<Act>(sweep.hidden, unit, at, [&](index b, index plane) {
    O* to = dz.data + b * dz.step;
    T* block = in_place(to, wide);
    hidden_block<Act>(sweep.hidden, unit, at, b, plane, partial.depthwise, block, image * kLanes);
    if (wide)
      for (index i = 0; i < pixels; ++i) store(to + i * dz.row, load(block + i * kLanes));
    add_expand_sums(s, b, pixels, x, block, pairs, partial);
  });
  project_tile(dz, pixels, sweep.panels, s.in,
               grad_x + (unit.image * s.pixels() + unit.owned.begin * s.width) * s.in);
}

// Expand weights times the scale of their BN for the gradient of x, [in / 16][M][16].
template <class T, class S>
const Operand<S>* pack_expand_gradient(Scratch& scratch, const Problem<T, S>& p, const T* scale) {
  const index padded = p.shape.padded(), columns = round_up(p.shape.in, kLanes);
  T* panels = scratch.take<T>(padded * columns);
  pack_rows(p.weights.expand, p.shape.hidden, p.shape.in, padded, panels);
  for (index row = 0; scale && row < padded * columns / kLanes; ++row) {
    T* at = panels + row * kLanes;
    store(at, load(at) * broadcast(scale[row % padded]));
  }
  return pack_operand<Operand<S>>(scratch, columns / kLanes, padded, panels);
}

// The second sweep with its results: gradients of x and of the depthwise and expand weights.
template <class Act, class T, class S>
void recomputed_gradients(Scratch& scratch, const HiddenGradient<T, S>& hidden, const S* grad,
                          const Gradients<T, S>& to) {
  const Problem<T, S>& p = hidden.project.p;
  const Plan& plan = hidden.project.plan;
  const Shape& s = p.shape;
  const Fold<T>& fold = hidden.input.fold;
  const index padded = s.padded(), taps = s.kernel * s.kernel, chunks = plan.chunks;
  T* dx0 = in_place(to.x, static_cast<T*>(nullptr));
  if (to.add_x || !dx0) dx0 = scratch.take<T>(s.images * s.pixels() * s.in);
  const RecomputedSweep<T, S> sweep{hidden, pack_expand_gradient(scratch, p, fold.scale)};
  const HiddenPartial<T> sums{scratch.zeros<T>(chunks * padded * taps),
                              scratch.zeros<T>(chunks * padded * s.in),
                              scratch.zeros<T>(chunks * padded)};
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    const HiddenPartial<T> mine{sums.depthwise + chunk * padded * taps,
                                sums.expand + chunk * padded * s.in, sums.plain + chunk * padded};
    for (index strip = 0; strip < plan.strips; ++strip)
      expand_unit<Act>(sweep, plan.unit(g, strip), mine, dx0);
  });
  add_parts(p.executor, chunks, padded * taps, sums.depthwise);
  add_parts(p.executor, chunks, padded * s.in, sums.expand);
  add_parts(p.executor, chunks, padded, sums.plain);
  unpack_columns(s, p.executor, sums.depthwise, taps, to.depthwise);
  T *push = scratch.take<T>(2 * s.hidden), *pull = push + s.hidden;
  expand_gradient(p, hidden.project.saved, fold, sums, to, push, pull);
  correct(p, plan, correction(scratch, p, push, pull), hidden.input.mean_pattern, grad, dx0, to);
}

}  // namespace stnas::cpu::STNAS_ISA

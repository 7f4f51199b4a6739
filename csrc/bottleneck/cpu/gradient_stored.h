// Second backward sweep where the expanded tensor is stored: dz1 goes to memory with the sums of
// the expand BN, and a third sweep makes of both de = BN gradient of dz1, dx = de W and dW = x' de.
#pragma once

#include "bottleneck/cpu/gradient_recomputed.h"

namespace stnas::cpu::STNAS_ISA {

// dz1 of one unit into [images, blocks, pixels, 16]; adds sum dz1 and sum dz1 (e - mean) to
// norm [2][padded].
template <class Act, class T, class S>
void stored_unit(const HiddenGradient<T, S>& sweep, const Unit& unit, T* weight, S* dz,
                 double* norm) {
  const Shape& s = sweep.project.p.shape;
  const index step = s.blocks() * s.pixels() * kLanes, run = unit.owned.count() * s.width;
  Scratch scratch;
  const auto at = fill_buffers<Act>(scratch, sweep, unit);
  T* buffer = take_vectors<T, S>(scratch, unit.images * run);
  for_each_hidden<Act>(sweep, unit, at, [&](index b, index plane) {
    const index first =
        sweep.input.stored_row(unit.image, b, unit.owned.begin) - sweep.input.stored;
    if constexpr (std::is_same_v<S, T>) {
      hidden_block<Act>(sweep, unit, at, b, plane, weight, dz + first, step);
    } else {
      hidden_block<Act>(sweep, unit, at, b, plane, weight, buffer, run * kLanes);
      for (index n = 0; n < unit.images; ++n)
        convert<S>(buffer + n * run * kLanes, run, dz + first + n * step);
    }
    const auto mean = load(sweep.input.fold.mean + b * kLanes);
    Vec<T> plain[2] = {zero<T>(), zero<T>()}, product[2] = {zero<T>(), zero<T>()};
    for (index n = 0; n < unit.images; ++n) {
      const S *d = dz + first + n * step, *e = sweep.input.stored + first + n * step;
      in_pairs(run, [&](index i, int at) __attribute__((always_inline)) {
        const auto value = load(d + i * kLanes);
        plain[at] = plain[at] + value;
        product[at] = product[at] + value * (load(e + i * kLanes) - mean);
      });
    }
    add_lanes(plain[0] + plain[1], norm + b * kLanes);
    add_lanes(product[0] + product[1], norm + s.padded() + b * kLanes);
  });
}

template <class T, class S>
struct StoredSweep {
  const HiddenGradient<T, S>& hidden;
  NormGradient<T> norm;      // of the expand BN
  const Operand<S>* panels;  // expand weights [in / 16][M][16]
  const S* dz;
};

// dx of one group, tile by tile, written or added, and its part of sum x de: [block][in][16].
template <class T, class S>
void stored_group(const StoredSweep<T, S>& sweep, const Unit& unit, const S* residual, T* expand,
                  S* grad_x, bool add) {
  const HiddenInput<T, S>& input = sweep.hidden.input;
  const Shape& s = input.p.shape;
  const index total = unit.images * s.pixels();
  const index group = unit.image * s.padded() * s.pixels();
  Scratch scratch;
  using O = Operand<S>;
  const auto de = take_tile<O>(scratch, s);
  O* buffer = scratch.take<O>(padded_depth<O>(de.pixels) * kLanes);
  for (index q = 0; q < total; q += de.pixels) {
    const index count = least(de.pixels, total - q);
    const index first = (unit.image * s.pixels() + q) * s.in;
    fill_tile(s, s.pixels(), q, count, de, [&](index b, index, index at) {
      const auto of = [&](const T* values) { return load(values + b * kLanes); };
      const auto mean = of(input.fold.mean), keep = of(sweep.norm.keep);
      const auto offset = of(sweep.norm.offset), pull = of(sweep.norm.pull);
      const S *dz = sweep.dz + group + at, *e = input.stored + group + at;
      return [=](index i) { return (load(dz + i) * keep - offset) - (load(e + i) - mean) * pull; };
    });
    multiply_columns(s.in, count, de.rows(), sweep.panels,
                     [&]<int N>(index i, index j, Vec<T, N> v) __attribute__((always_inline)) {
                       const index to = first + i * s.in + j;
                       if (residual) v = v + load<N>(residual + to, s.in - j);
                       if (add) v = load<N>(grad_x + to, s.in - j) + v;
                       store(grad_x + to, v, s.in - j);
                     });
    Scratch part;
    const auto rows = operand_rows<O>(part, input.p.x + first, count, s.in);
    const auto x = operand_columns(part, rows, count, s.in);
    for (index b = 0; b < s.blocks(); ++b)
      correlate(s.in, count, x.data, x.lda,
                operand_vectors<O>(de.data + b * de.step, count, buffer, de.row), kLanes,
                [&](index c, Vec<T> v) __attribute__((always_inline)) {
                  T* to = expand + (b * s.in + c) * kLanes;
                  store(to, load(to) + v);
                });
  }
}

// Both sweeps with their results: gradients of x and of the depthwise and expand weights.
template <class Act, class T, class S>
void stored_gradients(Scratch& scratch, const HiddenGradient<T, S>& hidden, const S* grad,
                      const Gradients<T, S>& to) {
  const Problem<T, S>& p = hidden.project.p;
  const Plan& plan = hidden.project.plan;
  const Shape& s = p.shape;
  const index padded = s.padded(), taps = s.kernel * s.kernel, chunks = plan.chunks;
  T* weight = scratch.zeros<T>(chunks * padded * taps);
  double* sums = scratch.zeros<double>(chunks * 2 * padded);
  S* dz = scratch.take<S>(s.images * padded * s.pixels());
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    for (index strip = 0; strip < plan.strips; ++strip)
      stored_unit<Act>(hidden, plan.unit(g, strip), weight + chunk * padded * taps, dz,
                       sums + chunk * 2 * padded);
  });
  add_parts(p.executor, chunks, padded * taps, weight);
  add_parts(p.executor, chunks, 2 * padded, sums);
  unpack_columns(s, p.executor, weight, taps, to.depthwise);
  const StoredSweep<T, S> sweep{
      hidden,
      norm_gradient(scratch, s, hidden.input.fold, sums, double(s.images * s.pixels()), to.affine),
      pack_expand_gradient<T>(scratch, p, nullptr), dz};
  T* expand = scratch.zeros<T>(chunks * padded * s.in);
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    stored_group(sweep, plan.unit(g, 0), p.residual ? grad : nullptr,
                 expand + chunk * padded * s.in, to.x, to.add_x);
  });
  add_parts(p.executor, chunks, padded * s.in, expand);
  unpack_columns(s, p.executor, expand, s.in, to.expand);
}

}  // namespace stnas::cpu::STNAS_ISA

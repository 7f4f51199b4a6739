// Inference: BN folded into the weights, one sweep over the batch, nothing stored.
#pragma once

#include "bottleneck/cpu/forward.h"

namespace stnas::cpu::STNAS_ISA {

template <class T, class S>
struct InferenceSweep {
  const Problem<T, S>& p;
  const Plan& plan;
  Expand<T, Operand<S>> expand;
  const T *taps, *bias;  // depthwise weights and bias
  Squeeze<T> squeeze;
  const Operand<S>* project;  // [out / 16][M][16]
  const T* project_bias;      // [out]
  const int32_t* offsets;
  Convolve<T> convolve;
  S* out;
};

// z = x scale + shift with scale = weight / std, shift = bias - mean scale; padded with zeros.
template <class T>
Fold<T> fold_running(Scratch& scratch, const Norm<T>& norm, index channels) {
  auto fold = fold_norm(scratch, norm, norm.mean, norm.var, channels);
  for (index c = 0; c < channels; ++c)
    fold.bias[c] = T(double(fold.bias[c]) - double(norm.mean[c]) * double(fold.scale[c]));
  return fold;
}

// u = a(depthwise(a(expand x))) of one unit into hidden [image][block][pixel][16]; pooled += sum u.
template <class Act, class T, class S>
void infer_hidden(const InferenceSweep<T, S>& sweep, const Unit& unit, Operand<S>* hidden,
                  T* pooled) {
  const Shape& s = sweep.p.shape;
  const Range rows = sweep.plan.inputs(unit);
  const Layout at = input_layout<T>(s, unit.images, rows);
  const index pixels = unit.images * rows.count() * s.width, taps = s.kernel * s.kernel;
  const index skipped = unit.rows.begin * s.out_width(), count = unit.rows.count() * s.out_width();
  Scratch scratch;
  const auto x = operand_rows<Operand<S>>(
      scratch, sweep.p.x + (unit.image * s.pixels() + rows.begin * s.width) * s.in, pixels, s.in);
  T* planes = take_planes<T>(scratch, at, kTogether<Operand<S>>);
  T* buffer = take_vectors<T, Operand<S>>(scratch, count);
  const auto convolve = [&](index b, const T* plane) {
    const auto bias = load(sweep.bias + b * kLanes);
    for (index n = 0; n < unit.images; ++n) {
      auto* to = hidden + ((n * s.blocks() + b) * s.out_pixels() + skipped) * kLanes;
      T* d = in_place(to, buffer);
      sweep.convolve(at.plane<const T>(plane, n), s.height, unit.rows.begin, unit.rows.end,
                     s.out_width(), sweep.taps + b * taps * kLanes, d);
      auto total = zero<T>();
      for (index q = 0; q < count; ++q) {
        const auto u = Act::value(load(d + q * kLanes) + bias);
        store(to + q * kLanes, u);
        total = total + u;
      }
      T* sum = pooled + n * s.excitation() + b * kLanes;
      store(sum, load(sum) + total);
    }
  };
  const index step = at.vectors() * kLanes;
  for_each_blocks<Operand<S>>(s, [&](Blocks blocks) {
    expand<Act>(sweep.expand, blocks, pixels, x.data, sweep.offsets, step, planes);
    for (index i = 0; i < blocks.count; ++i) convolve(blocks.first + i, planes + i * step);
  });
}

// out = project(gate u) + bias [+ x] of one group.
template <class T, class S>
void infer_project(const InferenceSweep<T, S>& sweep, const Unit& unit, const Operand<S>* hidden,
                   const T* gates) {
  const Shape& s = sweep.p.shape;
  const index pixels = s.out_pixels(), total = unit.images * pixels;
  const index first = unit.image * pixels * s.out;
  Scratch scratch;
  const auto gated = take_tile<Operand<S>>(scratch, s);
  for (index q = 0; q < total; q += gated.pixels) {
    const index count = least(gated.pixels, total - q);
    fill_tile(s, pixels, q, count, gated, [&](index b, index n, index at) {
      const auto gate = load(gates + n * s.excitation() + b * kLanes);
      return [=, from = hidden + at](index i) { return load(from + i) * gate; };
    });
    const index at = first + q * s.out;
    multiply_columns(s.out, count, gated.rows(), sweep.project,
                     [&]<int N>(index i, index j, Vec<T, N> v) __attribute__((always_inline)) {
                       const index to = at + i * s.out + j;
                       v = v + load<N>(sweep.project_bias + j);
                       if (sweep.p.residual) v = v + load<N>(sweep.p.x + to, s.out - j);
                       store(sweep.out + to, v, s.out - j);
                     });
  }
}

template <class Act, class T, class S>
void inference(const Problem<T, S>& p, S* out) {
  const Shape& s = p.shape;
  const Plan plan = make_plan(s);
  Scratch scratch;
  const auto first = fold_running(scratch, p.norms[0], s.hidden);
  const auto second = fold_running(scratch, p.norms[1], s.hidden);
  const auto third = fold_running(scratch, p.norms[2], s.out);
  const InferenceSweep<T, S> sweep{p,
                                   plan,
                                   pack_expand(scratch, p, first.scale, first.bias),
                                   pack_depthwise(scratch, p, second.scale),
                                   second.bias,
                                   pack_squeeze(scratch, p),
                                   pack_project(scratch, p, third.scale),
                                   third.bias,
                                   unit_offsets<T>(scratch, plan),
                                   find_convolve<T>(s.kernel, s.stride, s.width),
                                   out};
  const index vectors = s.images * s.pixels() * s.blocks();
  parallel(p.executor, plan.groups, 8 * vectors, [&](index g) {
    const Unit whole = plan.unit(g, 0);
    Scratch task;
    auto* hidden = task.take<Operand<S>>(whole.images * s.padded() * s.out_pixels());
    T* rows = task.zeros<T>(whole.images * s.excitation());
    for (index strip = 0; strip < plan.strips; ++strip)
      infer_hidden<Act>(sweep, plan.unit(g, strip), hidden, rows);
    const auto share = broadcast(T(1) / T(s.out_pixels()));
    for (index n = 0; n < whole.images; ++n)
      for (index j = 0; j < s.padded(); j += kLanes) {
        T* at = rows + n * s.excitation() + j;
        store(at, load(at) * share);
      }
    excite(s, sweep.squeeze, whole.images, rows);
    infer_project(sweep, whole, hidden, rows + s.padded() + s.padded_squeeze());
  });
}

}  // namespace stnas::cpu::STNAS_ISA

// The training pass: batch statistics, sweeps over the batch, nothing of the hidden layers stored
// but the depthwise output and, of wide blocks, the expanded tensor.
#pragma once

#include "bottleneck/cpu/hidden_input.h"
#include "bottleneck/cpu/project.h"
#include "bottleneck/cpu/squeeze.h"
#include "bottleneck/cpu/target.h"

namespace stnas::cpu::STNAS_ISA {

template <class T, class S>
struct HiddenSweep {
  HiddenInput<T, S> input;
  const T* taps;
  Convolve<T> convolve;
};

// d = depthwise(a(BN(expand x))) of one unit, and its moments.
template <class Act, class T, class S>
void hidden_unit(const HiddenSweep<T, S>& sweep, const Unit& unit, S* hidden, Moments* moments) {
  const Shape& s = sweep.input.p.shape;
  const Range rows = sweep.input.plan.inputs(unit);
  const Layout at = input_layout<T>(s, unit.images, rows);
  const index taps = s.kernel * s.kernel, skipped = unit.rows.begin * s.out_width();
  Scratch scratch;
  const auto* x = sweep.input.operand(scratch, unit, rows);
  T* planes = take_planes<T>(scratch, at, kTogether<Operand<S>>);
  const index count = unit.rows.count() * s.out_width();
  T* buffer = take_vectors<T, S>(scratch, count);
  for_each_blocks<Operand<S>>(s, [&](Blocks blocks) {
    sweep.input.template fill<Act>(unit, at, blocks, x, planes, nullptr);
    for (index i = 0; i < blocks.count; ++i) {
      const index b = blocks.first + i;
      S* first = hidden + ((unit.image * s.blocks() + b) * s.out_pixels() + skipped) * kLanes;
      const index step = s.blocks() * s.out_pixels() * kLanes;
      for (index n = 0; n < unit.images; ++n) {
        T* d = in_place(first + n * step, buffer);
        const T* plane = planes + i * at.vectors() * kLanes;
        sweep.convolve(at.plane<const T>(plane, n), s.height, unit.rows.begin, unit.rows.end,
                       s.out_width(), sweep.taps + b * taps * kLanes, d);
        convert<S, T>(d, count, first + n * step);
      }
      // Of the values as they are stored, which the next sweeps read.
      add_vectors(moments[b], first, count, kLanes, unit.images, step);
    }
  });
}

template <class Act, class T, class S>
void sweep_hidden(const Problem<T, S>& p, const Plan& plan, const Saved<T, S>& saved) {
  const Shape& s = p.shape;
  Scratch scratch;
  const HiddenSweep<T, S> sweep{hidden_input(scratch, p, plan, saved), pack_depthwise(scratch, p),
                                find_convolve<T>(s.kernel, s.stride, s.width)};
  auto* moments = scratch.zeros<Moments>(plan.chunks * s.blocks());
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    for (index strip = 0; strip < plan.strips; ++strip)
      hidden_unit<Act>(sweep, plan.unit(g, strip), saved.hidden, moments + chunk * s.blocks());
  });
  T* mean = saved.statistics + 2 * s.hidden;
  finish_moments(moments, plan.chunks, s.hidden, mean, mean + s.hidden);
}

// pooled = mean over the pixels of a(BN d), one image.
template <class Act, class T, class S>
void pool(const Shape& s, const Fold<T>& fold, const S* hidden, T* pooled) {
  const auto share = broadcast(T(1) / T(s.out_pixels()));
  for (index b = 0; b < s.blocks(); ++b, hidden += s.out_pixels() * kLanes) {
    const auto mean = load(fold.mean + b * kLanes), scale = load(fold.scale + b * kLanes);
    const auto bias = load(fold.bias + b * kLanes);
    Vec<T> total[2] = {zero<T>(), zero<T>()};
    index q = 0;
    const auto value = [&](index i) __attribute__((always_inline)) {
      return Act::value((load(hidden + i * kLanes) - mean) * scale + bias);
    };
    for (; q + 2 <= s.out_pixels(); q += 2) {
      total[0] = total[0] + value(q);
      total[1] = total[1] + value(q + 1);
    }
    if (q < s.out_pixels()) total[0] = total[0] + value(q);
    store(pooled + b * kLanes, (total[0] + total[1]) * share);
  }
}

// pooled, gate and y of one group, and the moments of y.
template <class Act, class T, class S>
void project_group(const Shape& s, const Unit& unit, const Fold<T>& fold, const Squeeze<T>& squeeze,
                   const Operand<S>* panels, const Saved<T, S>& saved, Moments* moments) {
  const index pixels = s.out_pixels(), total = unit.images * pixels;
  const S* hidden = saved.hidden + unit.image * s.padded() * pixels;
  T* rows = saved.excitation + unit.image * s.excitation();
  for (index n = 0; n < unit.images; ++n)
    pool<Act>(s, fold, hidden + n * s.padded() * pixels, rows + n * s.excitation());
  excite(s, squeeze, unit.images, rows);
  const T* gates = rows + s.padded() + s.padded_squeeze();
  Scratch scratch;
  const auto gated = take_tile<Operand<S>>(scratch, s);
  for (index q = 0; q < total; q += gated.pixels) {
    const index count = least(gated.pixels, total - q);
    fill_tile(s, pixels, q, count, gated, [&](index b, index n, index at) {
      const auto mean = load(fold.mean + b * kLanes), scale = load(fold.scale + b * kLanes);
      const auto bias = load(fold.bias + b * kLanes);
      const auto gate = load(gates + n * s.excitation() + b * kLanes);
      return [=, from = hidden + at](index i) {
        return Act::value((load(from + i) - mean) * scale + bias) * gate;
      };
    });
    S* y = saved.projected + (unit.image * pixels + q) * s.out;
    project_tile(gated, count, panels, s.out, y);
    add_rows(s, y, count, moments);
  }
}

template <class Act, class T, class S>
void sweep_project(const Problem<T, S>& p, const Plan& plan, const Saved<T, S>& saved) {
  const Shape& s = p.shape;
  Scratch scratch;
  const T* second = saved.statistics + 2 * s.hidden;
  const auto fold = fold_norm(scratch, p.norms[1], second, second + s.hidden, s.hidden);
  const auto squeeze = pack_squeeze(scratch, p);
  const auto* panels = pack_project(scratch, p);
  const index blocks = round_up(s.out, kLanes) / kLanes;
  auto* moments = scratch.zeros<Moments>(plan.chunks * blocks);
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    project_group<Act>(s, plan.unit(g, 0), fold, squeeze, panels, saved, moments + chunk * blocks);
  });
  T* mean = saved.statistics + 4 * s.hidden;
  finish_moments(moments, plan.chunks, s.out, mean, mean + s.out);
}

template <class Act, class T, class S>
void forward(const Problem<T, S>& p, const Saved<T, S>& saved, const Target<T, S>& to) {
  const Plan plan = make_plan(p.shape);
  sweep_expanded(p, plan, saved);
  sweep_hidden<Act>(p, plan, saved);
  sweep_project<Act>(p, plan, saved);
  sweep_target(p, saved, to);
}

}  // namespace stnas::cpu::STNAS_ISA

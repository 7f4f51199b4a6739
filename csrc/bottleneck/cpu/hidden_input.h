// The input of the depthwise convolution, a(BN(expand x)), one unit and channel block at a time: a
// product with the folded BN, or the stored product normalised.
#pragma once

#include "bottleneck/cpu/expand.h"
#include "bottleneck/cpu/input_moments.h"

namespace stnas::cpu::STNAS_ISA {

template <class T, class S>
struct HiddenInput {
  const Problem<T, S>& p;
  const Plan& plan;
  Fold<T> fold;                  // of the expand BN
  const S* stored;               // expand x [images, blocks, pixels, 16], or null, and then:
  Expand<T, Operand<S>> expand;  // weights with the BN folded in
  const T* mean_pattern;         // of x
  const int32_t* offsets;

  // Input rows [rows) of a unit less their mean, as the product reads them; null where the product
  // is stored.
  const Operand<S>* operand(Scratch& scratch, const Unit& unit, Range rows) const {
    if (stored) return nullptr;
    const Shape& s = p.shape;
    const index pixels = unit.images * rows.count() * s.width;
    auto* x = scratch.take<Operand<S>>(pixels * expand.depth);
    center(p.x + (unit.image * s.pixels() + rows.begin * s.width) * s.in, pixels, s.in,
           mean_pattern, x, expand.depth);
    return x;
  }

  // Some blocks into planes laid out as `at`, the slopes a'(.) too where given.
  template <class Act>
  void fill(const Unit& unit, const Layout& at, Blocks blocks, const Operand<S>* x, T* planes,
            T* slopes) const {
    const index step = at.vectors() * kLanes;
    if (!stored)
      return stnas::cpu::STNAS_ISA::expand<Act>(expand, blocks, unit.images * at.rows * at.width, x,
                                                offsets, step, planes, slopes);
    for (index i = 0; i < blocks.count; ++i)
      normalise<Act>(unit, at, blocks.first + i, planes + i * step,
                     slopes ? slopes + i * step : nullptr);
  }

  // The stored block, normalised, into a plane.
  template <class Act>
  void normalise(const Unit& unit, const Layout& at, index b, T* plane, T* slopes) const {
    const auto mean = load(fold.mean + b * kLanes), scale = load(fold.scale + b * kLanes);
    const auto bias = load(fold.bias + b * kLanes);
    for (index n = 0; n < unit.images; ++n)
      for (index row = 0; row < at.rows; ++row) {
        const S* from = stored_row(unit.image + n, b, at.top + row);
        const index to = ((n * at.rows + row) * at.pitch + at.left) * kLanes;
        for (index i = 0; i < at.width * kLanes; i += kLanes) {
          const auto z = (load(from + i) - mean) * scale + bias;
          store(plane + to + i, Act::value(z));
          if constexpr (Act::kCap == 0)
            if (slopes) store(slopes + to + i, Act::slope(z));
        }
      }
  }

  const S* stored_row(index image, index b, index row) const {
    const Shape& s = p.shape;
    return stored + ((image * s.blocks() + b) * s.pixels() + row * s.width) * kLanes;
  }
};

// Offsets of the pixels of any unit: with strips the largest one's serve all.
template <class T>
const int32_t* unit_offsets(Scratch& scratch, const Plan& plan) {
  const index rows =
      least(plan.shape.height, (plan.strip_rows + 2) * plan.shape.stride + 2 * plan.shape.kernel);
  return pixel_offsets<T>(scratch, input_layout<T>(plan.shape, plan.group, {0, rows}));
}

template <class T, class S>
HiddenInput<T, S> hidden_input(Scratch& scratch, const Problem<T, S>& p, const Plan& plan,
                               const Saved<T, S>& saved) {
  const Shape& s = p.shape;
  const auto fold =
      fold_norm(scratch, p.norms[0], saved.statistics, saved.statistics + s.hidden, s.hidden);
  if (s.stores_expanded()) return {p, plan, fold, saved.expanded, {}, nullptr, nullptr};
  T* pattern = scratch.take<T>(pattern_vectors(s.in) * kLanes);
  return {p,
          plan,
          fold,
          nullptr,
          pack_expand(scratch, p, fold.scale, fold.bias),
          repeat_pattern(static_cast<const T*>(saved.moments), s.in, pattern),
          unit_offsets<T>(scratch, plan)};
}

// expand x of a group into `stored`, block by block, and its moments.
template <class T, class S>
void store_group(const Problem<T, S>& p, const Expand<T, Operand<S>>& by, const Unit& unit,
                 S* stored, Moments* moments) {
  const Shape& s = p.shape;
  const index pixels = s.pixels(), step = s.blocks() * pixels * kLanes;
  Scratch scratch;
  const auto x = operand_rows<Operand<S>>(scratch, p.x + unit.image * pixels * s.in,
                                          unit.images * pixels, s.in);
  for_each_blocks<Operand<S>>(s, [&](Blocks blocks) {
    S* first = stored + (unit.image * s.blocks() + blocks.first) * pixels * kLanes;
    for (index n = 0; n < unit.images; ++n)
      multiply_blocks(blocks.count, pixels,
                      Rows<Operand<S>>{x.data + n * pixels * x.row, x.row, x.row},
                      by.panels + blocks.first * by.depth * kLanes,
                      [&](index i, index block, Vec<T> v) __attribute__((always_inline)) {
                        store(first + n * step + (block * pixels + i) * kLanes, v);
                      });
    for (index i = 0; i < blocks.count; ++i)
      add_vectors(moments[blocks.first + i], first + i * pixels * kLanes, pixels, kLanes,
                  unit.images, step);
  });
}

// Fills saved.expanded and the mean and variance of the expand BN.
template <class T, class S>
void sweep_expanded(const Problem<T, S>& p, const Plan& plan, const Saved<T, S>& saved) {
  const Shape& s = p.shape;
  if (!s.stores_expanded()) return expand_statistics(p, saved);
  Scratch scratch;
  const auto expand = pack_expand<T>(scratch, p, nullptr, nullptr);
  auto* moments = scratch.zeros<Moments>(plan.chunks * s.blocks());
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    store_group(p, expand, plan.unit(g, 0), saved.expanded, moments + chunk * s.blocks());
  });
  finish_moments(moments, plan.chunks, s.hidden, saved.statistics, saved.statistics + s.hidden);
}

}  // namespace stnas::cpu::STNAS_ISA

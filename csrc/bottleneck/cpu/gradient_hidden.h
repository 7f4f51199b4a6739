// The middle of the second backward sweep: the hidden tensors of a unit are made anew in the cache,
// block by block: dd = BN gradient of dz,  e = a(BN(expand x)),  dw = e * dd,  dz1 = a'(.) (w *
// dd).
#pragma once

#include "bottleneck/cpu/depthwise_grad.h"
#include "bottleneck/cpu/gradient_project.h"
#include "bottleneck/cpu/hidden_input.h"
#include "host/partial_sums.h"

namespace stnas::cpu::STNAS_ISA {

// dv = keep * dz - offset - (v - mean) * pull for z = BN v, [padded] each.
template <class T>
struct NormGradient {
  const T *keep, *offset, *pull;
};

// Coefficients from sums [2][padded] of dz and dz (v - mean) over `count` pixels; writes the affine
// gradients, weight and bias [M] each.
template <class T>
NormGradient<T> norm_gradient(Scratch& scratch, const Shape& s, const Fold<T>& fold,
                              const double* sums, double count, T* affine) {
  const index padded = s.padded();
  T* keep = scratch.zeros<T>(3 * padded);
  for (index m = 0; m < s.hidden; ++m) {
    const double inverse = double(fold.inverse[m]), scale = double(fold.scale[m]);
    affine[m] = T(sums[padded + m] * inverse);
    affine[s.hidden + m] = T(sums[m]);
    keep[m] = fold.scale[m];
    keep[padded + m] = T(scale * sums[m] / count);
    keep[2 * padded + m] = T(scale * inverse * inverse * sums[padded + m] / count);
  }
  return {keep, keep + padded, keep + 2 * padded};
}

template <class T, class S>
struct HiddenGradient {
  const ProjectSweep<T, S>& project;
  HiddenInput<T, S> input;
  NormGradient<T> norm;  // of the depthwise BN
  const T* taps;
  DepthwiseGradient<T> depthwise;
};

// Everything of one unit that does not depend on the channel block.
template <class T, class S>
struct UnitBuffers {
  Range inputs, outputs;
  Layout input, output;
  const Operand<S>* x;
  T *dd, *e, *slopes;
};

template <class Act, class T, class S>
UnitBuffers<T, S> fill_buffers(Scratch& scratch, const HiddenGradient<T, S>& sweep,
                               const Unit& unit) {
  const Plan& plan = sweep.project.plan;
  UnitBuffers<T, S> to;
  const Range reads = plan.inputs(unit);
  to.inputs = {least(reads.begin, unit.owned.begin), most(reads.end, unit.owned.end)};
  to.outputs = plan.outputs(unit);
  to.input = input_layout<T>(plan.shape, unit.images, to.inputs);
  to.output = output_layout<T>(plan.shape, unit.images, to.outputs);
  to.x = sweep.input.operand(scratch, unit, to.inputs);
  constexpr index kPlanes = kTogether<Operand<S>>;
  to.dd = take_planes<T>(scratch, to.output, 1);
  to.e = take_planes<T>(scratch, to.input, kPlanes);
  to.slopes = Act::kCap == 0 ? scratch.take<T>(kPlanes * to.input.vectors() * kLanes) : nullptr;
  return to;
}

// dd of one block into its padded planes.
template <class Act, class T, class S>
void fill_depthwise_grad(const HiddenGradient<T, S>& sweep, const Unit& unit,
                         const UnitBuffers<T, S>& at, index b) {
  const auto& project = sweep.project;
  const Shape& s = project.p.shape;
  const index width = s.out_width(), row = s.excitation();
  const auto of = [&](const T* values) { return load(values + b * kLanes); };
  const auto mean = of(project.fold.mean), scale = of(project.fold.scale);
  const auto bias = of(project.fold.bias), keep = of(sweep.norm.keep);
  const auto offset = of(sweep.norm.offset), pull = of(sweep.norm.pull);
  for (index n = 0; n < unit.images; ++n) {
    const index image = unit.image + n;
    const auto gate = of(project.saved.excitation + image * row + s.padded() + s.padded_squeeze());
    const auto pooled = of(project.excitation_grad + image * row);
    const index first =
        ((image * s.blocks() + b) * s.out_pixels() + at.outputs.begin * width) * kLanes;
    const S *d = project.saved.hidden + first, *du = project.hidden_grad + first;
    const auto plane = at.output.template plane<T>(at.dd, n);
    for (index y = at.outputs.begin; y < at.outputs.end; ++y) {
      T* to = plane.at(y, 0);
      for (index x = 0; x < width; ++x, d += kLanes, du += kLanes) {
        const auto gap = load(d) - mean;
        const auto dz = times_slope<Act>(gap * scale + bias)(load(du) * gate + pooled);
        store(to + x * kLanes, (dz * keep - offset) - gap * pull);
      }
    }
  }
}

// use(block, offset) for every block, whose e, or slope, stands at this offset of the planes then.
template <class Act, class T, class S, class Use>
void for_each_hidden(const HiddenGradient<T, S>& sweep, const Unit& unit,
                     const UnitBuffers<T, S>& at, const Use& use) {
  for_each_blocks<Operand<S>>(sweep.project.p.shape, [&](Blocks blocks) {
    sweep.input.template fill<Act>(unit, at.input, blocks, at.x, at.e, at.slopes);
    for (index i = 0; i < blocks.count; ++i) use(blocks.first + i, i * at.input.vectors() * kLanes);
  });
}

// Adds one block's dw to `weight` and writes its dz1 of the owned rows, the images `step` apart.
template <class Act, class T, class S>
void hidden_block(const HiddenGradient<T, S>& sweep, const Unit& unit, const UnitBuffers<T, S>& at,
                  index b, index plane, T* weight, T* dz, index step) {
  const Shape& s = sweep.project.p.shape;
  const index taps = s.kernel * s.kernel;
  fill_depthwise_grad<Act>(sweep, unit, at, b);
  for (index n = 0; n < unit.images; ++n) {
    const auto e = at.input.template plane<const T>(at.e + plane, n);
    const auto dd = at.output.template plane<const T>(at.dd, n);
    const T* slopes = Act::kCap > 0 ? at.e : at.slopes;
    const auto source = at.input.template plane<const T>(slopes + plane, n);
    sweep.depthwise.weight(e, s.height, unit.rows.begin, unit.rows.end, s.out_width(), dd,
                           weight + b * taps * kLanes);
    sweep.depthwise.data(dd, s.out_height(), unit.owned.begin, unit.owned.end, s.width,
                         sweep.taps + b * taps * kLanes, {source, Act::kCap}, dz + n * step);
  }
}

}  // namespace stnas::cpu::STNAS_ISA

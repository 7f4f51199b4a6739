// Second backward sweep: the hidden tensors of a unit are made anew in the cache, block by block:
//   dd = BN gradient of dz,  e = a(BN(expand x)),  dw = e * dd,  dz1 = a'(.) (w * dd),
// and of dz1 only what the expand BN needs: dx0 = dz1 W, sum dz1, sum x dz1.
#pragma once

#include "depthwise_grad.h"
#include "gradient_project.h"
#include "input_moments.h"

namespace stnas::cpu::STNAS_ISA {

// dd = keep * dz - offset - (d - mean) * pull, [padded] each.
template <class T>
struct NormGradient {
  const T *keep, *offset, *pull;
};

// Partial sums of one chunk.
template <class T>
struct HiddenPartial {
  T *depthwise;  // [block][K K][16]
  T *expand;     // sum (x - mean) dz1: [block][in][16]
  T *plain;      // sum dz1: [padded]
};

template <class T>
struct ExpandSweep {
  const ProjectSweep<T>& project;
  NormGradient<T> norm;
  Expand<T> expand;
  const T *taps, *mean_pattern, *panels;  // panels: scaled expand weights [in / 16][M][16]
  const int32_t* offsets;
  DepthwiseGradient<T> depthwise;
};

// Everything of one unit that does not depend on the channel block.
template <class T>
struct UnitBuffers {
  Range inputs, outputs;
  Layout input, output;
  T *x, *dd, *e, *slopes, *dz, *dx;
};

template <class Act, class T>
UnitBuffers<T> fill_buffers(Scratch& scratch, const ExpandSweep<T>& sweep, const Unit& unit) {
  const auto& project = sweep.project;
  const Shape& s = project.p.shape;
  UnitBuffers<T> to;
  const Range reads = project.plan.inputs(unit);
  to.inputs = {least(reads.begin, unit.owned.begin), most(reads.end, unit.owned.end)};
  to.outputs = project.plan.outputs(unit);
  to.input = input_layout<T>(s, unit.images, to.inputs);
  to.output = output_layout<T>(s, unit.images, to.outputs);
  const index in_pixels = unit.images * to.inputs.count() * s.width;
  const index owned = unit.images * unit.owned.count() * s.width;
  to.x = scratch.take<T>(in_pixels * s.in);
  center(project.p.x + (unit.image * s.pixels() + to.inputs.begin * s.width) * s.in, in_pixels,
         s.in, sweep.mean_pattern, to.x);
  to.dd = take_plane<T>(scratch, to.output);
  to.e = take_plane<T>(scratch, to.input);
  to.slopes = Act::kCap == 0 ? scratch.take<T>(to.input.vectors() * kLanes) : nullptr;
  to.dz = scratch.take<T>(owned * kLanes);
  to.dx = scratch.zeros<T>(owned * round_up(s.in, kLanes));
  return to;
}

// dd of one block into its padded planes.
template <class Act, class T>
void fill_depthwise_grad(const ExpandSweep<T>& sweep, const Unit& unit, const UnitBuffers<T>& at,
                         index b) {
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
    const T *d = project.saved.hidden + first, *du = project.hidden_grad + first;
    const auto plane = at.output.template plane<T>(at.dd, n);
    for (index y = at.outputs.begin; y < at.outputs.end; ++y) {
      T* to = plane.at(y, 0);
      for (index x = 0; x < width; ++x, d += kLanes, du += kLanes) {
        const auto gap = load(d) - mean;
        const auto dz = (load(du) * gate + pooled) * Act::slope(gap * scale + bias);
        store(to + x * kLanes, (dz * keep - offset) - gap * pull);
      }
    }
  }
}

// Gradients of one block through the depthwise and the expand convolution.
template <class Act, class T>
void expand_block(const ExpandSweep<T>& sweep, const Unit& unit, const UnitBuffers<T>& at, index b,
                  const HiddenPartial<T>& partial) {
  const Shape& s = sweep.project.p.shape;
  const index taps = s.kernel * s.kernel, pixels = unit.owned.count() * s.width;
  const index skipped = (unit.owned.begin - at.inputs.begin) * s.width;
  expand<Act>(sweep.expand, b, unit.images * at.inputs.count() * s.width, at.x, sweep.offsets, at.e,
              at.slopes);
  const T* weights = sweep.taps + b * taps * kLanes;
  auto plain = load(partial.plain + b * kLanes);
  for (index n = 0; n < unit.images; ++n) {
    const auto e = at.input.template plane<const T>(at.e, n);
    const auto dd = at.output.template plane<const T>(at.dd, n);
    const auto source = at.input.template plane<const T>(Act::kCap > 0 ? at.e : at.slopes, n);
    T* dz = at.dz + n * pixels * kLanes;
    sweep.depthwise.weight(e, s.height, unit.rows.begin, unit.rows.end, s.out_width(), dd,
                           partial.depthwise + b * taps * kLanes);
    sweep.depthwise.data(dd, s.out_height(), unit.owned.begin, unit.owned.end, s.width, weights,
                         {source, Act::kCap}, dz);
    plain = plain + column_sums(pixels, dz, kLanes);
  }
  store(partial.plain + b * kLanes, plain);
  // Groups hold whole images, so that their pixels are one run; strips have one image.
  correlate(s.in, unit.images * pixels, at.x + skipped * s.in, s.in, at.dz, kLanes,
            [&](index c, Vec<T> v) __attribute__((always_inline)) {
              T* to = partial.expand + (b * s.in + c) * kLanes;
              store(to, load(to) + v);
            });
  const index padded = round_up(s.in, kLanes);
  for (index j = 0; j < padded; j += kLanes)
    multiply(unit.images * pixels, Rows<T>{at.dz, kLanes, kLanes},
             sweep.panels + j * s.padded() + b * kLanes * kLanes,
             [&](index i, Vec<T> v) __attribute__((always_inline)) {
               T* to = at.dx + i * padded + j;
               store(to, load(to) + v);
             });
}

// dx0 of one unit into grad_x, and its part of the sums.
template <class Act, class T>
void expand_unit(const ExpandSweep<T>& sweep, const Unit& unit, const HiddenPartial<T>& partial,
                 T* grad_x) {
  const Shape& s = sweep.project.p.shape;
  Scratch scratch;
  const auto at = fill_buffers<Act>(scratch, sweep, unit);
  for (index b = 0; b < s.blocks(); ++b) {
    fill_depthwise_grad<Act>(sweep, unit, at, b);
    expand_block<Act>(sweep, unit, at, b, partial);
  }
  const index padded = round_up(s.in, kLanes);
  T* to = grad_x + (unit.image * s.pixels() + unit.owned.begin * s.width) * s.in;
  for (index i = 0; i < unit.images * unit.owned.count() * s.width; ++i)
    for (index j = 0; j < s.in; j += kLanes)
      store(to + i * s.in + j, load(at.dx + i * padded + j), s.in - j);
}

}  // namespace stnas::cpu::STNAS_ISA

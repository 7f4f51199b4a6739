// First backward sweep: gradients of the project weights, of squeeze-and-excitation and the sums of
// the depthwise BN. With u = a(z), z = BN d, du = W' dy:
//   dW = sum dy (g u)',  dg = sum_q u du,  dz = (g du + s) a'(z),  s = d pooled / pixels.
// s is known only after the whole image, so sum dz and sum dz (d - mean) come from four partial
// sums.
#pragma once

#include "bottleneck/cpu/gradient_out.h"
#include "bottleneck/cpu/project.h"
#include "bottleneck/cpu/squeeze.h"

namespace stnas::cpu::STNAS_ISA {

// Sums over the pixels of one image and block, 16 values each.
struct ImageSums {
  enum : index { slope, slope_gap, grad, grad_gap, gate, count };
};

template <class T, class S>
struct ProjectSweep {
  const Problem<T, S>& p;
  const Plan& plan;
  const Saved<T, S>& saved;
  const OutGradient<T, S>& out;
  const Fold<T>& fold;
  const Operand<S>* panels;  // project weights [M / 16][out][16]
  const int32_t* offsets;    // of a unit's output pixels in one block of the hidden tensor
  SqueezeGradient<T> squeeze;
  T* excitation_grad;  // rows like those of Saved::excitation
  S* hidden_grad;      // du, laid out like Saved::hidden
};

// Offsets of a unit's output pixels from the first one, in one block of the hidden tensor.
template <class T>
const int32_t* hidden_offsets(Scratch& scratch, const Plan& plan) {
  const Shape& s = plan.shape;
  const index pixels = plan.strip_rows * s.out_width(), step = s.padded() * s.out_pixels();
  int32_t* offsets = scratch.take<int32_t>(plan.group * pixels);
  for (index n = 0; n < plan.group; ++n)
    for (index q = 0; q < pixels; ++q) offsets[n * pixels + q] = int32_t(n * step + q * kLanes);
  return offsets;
}

// One image and block: g u into `gated`, and the image's sums.
template <class Act, class T, class S>
void gate_block(const Fold<T>& fold, index b, index pixels, const S* hidden, const S* grad,
                const T* gates, T* gated, T* sums) {
  for_each_part<kRegisterLanes<T>>([&](auto n, index lane) __attribute__((always_inline)) {
    const auto of = [&](const T* values) { return load<n>(values + b * kLanes + lane); };
    const auto mean = of(fold.mean), scale = of(fold.scale), bias = of(fold.bias);
    const auto gate = of(gates);
    Vec<T, n> acc[ImageSums::count];
    for (auto& v : acc) v = zero<T, n>();
    for (index i = lane; i < pixels * kLanes; i += kLanes) {
      const auto gap = load<n>(hidden + i) - mean, z = gap * scale + bias;
      const auto u = Act::value(z), du = load<n>(grad + i);
      const auto through = times_slope<Act>(z);
      const auto dz = through(du);
      acc[ImageSums::slope] = acc[ImageSums::slope] + through(broadcast<n>(T(1)));
      acc[ImageSums::slope_gap] = acc[ImageSums::slope_gap] + through(gap);
      acc[ImageSums::grad] = acc[ImageSums::grad] + dz;
      acc[ImageSums::grad_gap] = acc[ImageSums::grad_gap] + dz * gap;
      acc[ImageSums::gate] = acc[ImageSums::gate] + u * du;
      store(gated + i, u * gate);
    }
    for (index k = 0; k < ImageSums::count; ++k) {
      T* to = sums + k * kLanes + lane;
      store(to, load<n>(to) + acc[k]);
    }
  });
}

// Pixels [begin, end) of every image of a group; weight += [block][out][16]; sums
// [image][block][count][16].
template <class Act, class T, class S>
void gate_unit(const ProjectSweep<T, S>& sweep, const Unit& unit, T* weight, T* sums) {
  const Shape& s = sweep.p.shape;
  const index width = s.out_width(), pixels = unit.rows.count() * width;
  const index total = unit.images * pixels, skipped = unit.rows.begin * width;
  const T* gates =
      sweep.saved.excitation + unit.image * s.excitation() + s.padded() + s.padded_squeeze();
  Scratch scratch;
  T* dy = scratch.take<T>(total * s.out);
  sweep.out.fill(unit.image * s.out_pixels() + skipped, total, dy);
  using O = Operand<S>;
  const auto rows = operand_rows<O>(scratch, dy, total, s.out);
  const auto columns = operand_columns(scratch, rows, total, s.out);
  T* gated = scratch.take<T>(total * kLanes);
  O* buffer = take_vectors<O, T>(scratch, total);
  const auto gate = [&](index b, const S* hidden, const S* grad) {
    for (index n = 0; n < unit.images; ++n) {
      const index at = n * s.padded() * s.out_pixels();
      gate_block<Act>(sweep.fold, b, pixels, hidden + at, grad + at, gates + n * s.excitation(),
                      gated + n * pixels * kLanes,
                      sums + (n * s.blocks() + b) * ImageSums::count * kLanes);
    }
    correlate(s.out, total, columns.data, columns.lda, operand_vectors<O>(gated, total, buffer),
              kLanes, [&](index o, Vec<T> v) __attribute__((always_inline)) {
                T* to = weight + (b * s.out + o) * kLanes;
                store(to, load(to) + v);
              });
  };
  const index step = s.out_pixels() * kLanes;
  for_each_blocks<O>(s, [&](Blocks blocks) {
    const index first = (unit.image * s.blocks() + blocks.first) * step + skipped * kLanes;
    const S* hidden = sweep.saved.hidden + first;
    S* grad = sweep.hidden_grad + first;
    multiply_blocks(blocks.count, total, rows, sweep.panels + blocks.first * rows.row * kLanes,
                    [&](index i, index block, Vec<T> v) __attribute__((always_inline)) {
                      const index to = block * step + sweep.offsets[i];
                      __builtin_prefetch(hidden + to);
                      store(grad + to, v);
                    });
    for (index i = 0; i < blocks.count; ++i)
      gate(blocks.first + i, hidden + i * step, grad + i * step);
  });
}

// The gradients of the gates of a group, through SE to those of the pooled values; adds
// sum dz and sum dz (d - mean) to norm [2][padded].
template <class T, class S>
void finish_group(const ProjectSweep<T, S>& sweep, const Unit& unit, const T* sums, double* norm) {
  const Shape& s = sweep.p.shape;
  const index padded = s.padded(), row = s.excitation(), gate = padded + s.padded_squeeze();
  const T* rows = sweep.saved.excitation + unit.image * row;
  T* grads = sweep.excitation_grad + unit.image * row;
  const auto sum_of = [&](index n, index b, index which) {
    return sums + ((n * s.blocks() + b) * ImageSums::count + which) * kLanes;
  };
  for (index n = 0; n < unit.images; ++n)
    for (index b = 0; b < s.blocks(); ++b)
      store(grads + n * row + gate + b * kLanes, load(sum_of(n, b, ImageSums::gate)));
  excite_gradient(s, sweep.squeeze, unit.images, rows, grads);
  for (index n = 0; n < unit.images; ++n)
    for (index m = 0; m < padded; ++m) {
      const index b = m / kLanes, lane = m % kLanes;
      const double g = double(rows[n * row + gate + m]), pooled = double(grads[n * row + m]);
      const auto at = [&](index which) { return double(sum_of(n, b, which)[lane]); };
      norm[m] += g * at(ImageSums::grad) + pooled * at(ImageSums::slope);
      norm[padded + m] += g * at(ImageSums::grad_gap) + pooled * at(ImageSums::slope_gap);
    }
}

// weight [chunks][block][out][16] and norm [chunks][2][padded] are zero on entry.
template <class Act, class T, class S>
void sweep_gates(const ProjectSweep<T, S>& sweep, T* weight, double* norm) {
  const Shape& s = sweep.p.shape;
  const index size = s.padded() * s.out;
  for_each_group(sweep.plan, sweep.p.executor, [&](index g, index chunk) {
    const Unit whole = sweep.plan.unit(g, 0);
    Scratch scratch;
    T* sums = scratch.zeros<T>(whole.images * s.padded() * ImageSums::count);
    for (index strip = 0; strip < sweep.plan.strips; ++strip)
      gate_unit<Act>(sweep, sweep.plan.unit(g, strip), weight + chunk * size, sums);
    finish_group(sweep, whole, sums, norm + chunk * 2 * s.padded());
  });
}

// Weight gradients of SE from the rows of all images: products over the batch.
template <class T, class S>
void squeeze_gradients(const Problem<T, S>& p, const Saved<T, S>& saved, const T* grads,
                       const Gradients<T, S>& to) {
  const Shape& s = p.shape;
  const index row = s.excitation(), padded = s.padded(), gate = padded + s.padded_squeeze();
  for_each_block(s, p.executor, 2 * s.squeeze * s.images, [&](index b) {
    const index m = b * kLanes, lanes = least(kLanes, s.hidden - m);
    correlate(s.squeeze, s.images, grads + padded, row, saved.excitation + m, row,
              [&](index r, Vec<T> v) { store(to.squeeze_weight + r * s.hidden + m, v, lanes); });
    correlate(s.squeeze, s.images, saved.excitation + padded, row, grads + gate + m, row,
              [&](index r, Vec<T> v) {
                T lane[kLanes];
                store(lane, v);
                for (index i = 0; i < lanes; ++i)
                  to.excite_weight[(m + i) * s.squeeze + r] = lane[i];
              });
    store(to.excite_bias + m, column_sums(s.images, grads + gate + m, row), lanes);
  });
  for (index r = 0; r < s.squeeze; r += kLanes)
    store(to.squeeze_bias + r, column_sums(s.images, grads + padded + r, row), s.squeeze - r);
}

}  // namespace stnas::cpu::STNAS_ISA

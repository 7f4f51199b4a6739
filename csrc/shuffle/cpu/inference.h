// Inference: BN folded into the weights, a group of images through all layers of a head while it is
// in the cache, nothing stored.
#pragma once

#include "bottleneck/cpu/inference.h"
#include "shuffle/cpu/forward.h"

namespace stnas::cpu::STNAS_ISA {

// A layer as inference computes it: W BN(v) + bias for a 1x1, the BN that of the depthwise
// convolution before it and its own folded in; a depthwise convolution as it is.
template <class T>
struct FoldedLayer {
  const HeadLayer<T>* layer;
  const T* weights;        // panels [out / 16][depth][16], or taps [block][K, K][16]
  const T* bias;           // of a 1x1, [padded]
  index depth;             // of a 1x1
  Convolve<T> convolve;    // of a depthwise convolution,
  Layout at;               // the planes it reads, of a whole group,
  const int32_t* offsets;  // and where the pixels stand in them

  index step() const { return at.vectors() * kLanes; }
};

// Rows of the weights times `scale` of the output, columns times `within.scale` of the input where
// there is a BN before it, whose bias goes through the weights.
template <class T>
void fold_pointwise(Scratch& scratch, const Fold<T>* within, FoldedLayer<T>& to) {
  const HeadLayer<T>& layer = *to.layer;
  const auto fold = fold_running(scratch, layer.norm, layer.out);
  to.depth = within && layer.in > kLanes ? layer.in_blocks() * kLanes : layer.in;
  T* panels = scratch.take<T>(layer.blocks() * to.depth * kLanes);
  pack_columns(layer.weight, layer.in, layer.out, to.depth, panels);
  for (index b = 0; b < layer.blocks(); ++b) {
    T *rows = panels + b * to.depth * kLanes, *scale = fold.scale + b * kLanes;
    double through[kLanes] = {};
    for (index c = 0; c < layer.in; ++c, rows += kLanes) {
      const double bias = within ? double(within->bias[c]) : 0;
      for (index i = 0; i < kLanes; ++i) through[i] += double(rows[i]) * bias;
      store(rows, load(rows) * load(scale) * broadcast(within ? within->scale[c] : T(1)));
    }
    for (index i = 0; i < kLanes; ++i) {
      T& bias = fold.bias[b * kLanes + i];
      bias = T(double(bias) + through[i] * double(scale[i]));
    }
  }
  to.weights = panels;
  to.bias = fold.bias;
}

template <class T>
struct HeadSweep {
  const ShuffleProblem<T>& p;
  const Head<T>& head;
  Plan plan;  // of the first layer: its groups serve all
  FoldedLayer<T> layers[kMostLayers];
};

template <class T>
HeadSweep<T> fold_head(Scratch& scratch, const ShuffleProblem<T>& p, const Head<T>& head) {
  HeadSweep<T> sweep{p, head, make_plan(shape_of(head.layers[0], p.images)), {}};
  for (index i = 0; i < head.count; ++i) {
    const HeadLayer<T>& layer = head.layers[i];
    FoldedLayer<T>& to = sweep.layers[i];
    to.layer = &layer;
    if (layer.is_depthwise()) {
      to.weights = pack_taps(scratch, layer);
      to.convolve = find_convolve<T>(layer.kernel, layer.stride, layer.width);
      to.at = input_layout<T>(shape_of(layer, p.images), sweep.plan.group, {0, layer.height});
      to.offsets = pixel_offsets<T>(scratch, to.at);
    } else if (i > 0) {
      const HeadLayer<T>& before = head.layers[i - 1];
      const auto within = fold_running(scratch, before.norm, before.out);
      fold_pointwise(scratch, &within, to);
    } else {
      fold_pointwise<T>(scratch, nullptr, to);
    }
  }
  return sweep;
}

// use(pixel of the group, block, value) of a 1x1: from channels of x, or from the values [block]
// [pixel][16] of the layer before it.
template <class From, class T, class Use>
void infer_pointwise(const FoldedLayer<T>& by, const From& from, const Unit& unit, const T* values,
                     const Use& use) {
  const HeadLayer<T>& layer = *by.layer;
  const index total = unit.images * layer.pixels();
  const auto output = [&](index i, index block, Vec<T> v) __attribute__((always_inline)) {
    use(i, block, Relu::value(v + load(by.bias + block * kLanes)));
  };
  if (values) {
    const index width = least(kLanes, by.depth);
    return multiply_blocks(layer.blocks(), total,
                           Rows<T>{values, kLanes, width, layer.in_blocks(), total * kLanes},
                           by.weights, output);
  }
  const index row = layer.in_blocks() * kLanes, most_pixels = tile_pixels(row);
  Scratch scratch;
  T* rows = scratch.take<T>(most_pixels * row);
  for (index q = 0; q < total; q += most_pixels) {
    const index count = least(most_pixels, total - q);
    fill_rows(from, unit, layer.pixels(), layer.in_blocks(), q, count, rows);
    multiply_blocks(layer.blocks(), count, Rows<T>{rows, row, layer.in}, by.weights,
                    [&](index i, index block, Vec<T> v)
                        __attribute__((always_inline)) { output(q + i, block, v); });
  }
}

// Values [block][pixel][16] of a depthwise convolution of a group from its planes.
template <class T>
void infer_depthwise(const FoldedLayer<T>& by, index images, const T* planes, T* values) {
  const HeadLayer<T>& layer = *by.layer;
  const index pixels = layer.out_pixels(), taps = layer.kernel * layer.kernel;
  for (index b = 0; b < layer.blocks(); ++b)
    for (index n = 0; n < images; ++n)
      by.convolve(by.at.template plane<const T>(planes + b * by.step(), n), layer.height, 0,
                  layer.out_height(), layer.out_width(), by.weights + b * taps * kLanes,
                  values + (b * images + n) * pixels * kLanes);
}

// Memory of a task: planes of each depthwise convolution, whose padding stays zero, and the values
// of one.
template <class T>
struct HeadBuffers {
  T* planes[kMostLayers];
  T* values;
};

template <class T>
HeadBuffers<T> take_buffers(Scratch& scratch, const HeadSweep<T>& sweep) {
  HeadBuffers<T> to{};
  index values = 0;
  for (index i = 0; i < sweep.head.count; ++i) {
    const HeadLayer<T>& layer = sweep.head.layers[i];
    if (!layer.is_depthwise()) continue;
    to.planes[i] = take_planes<T>(scratch, sweep.layers[i].at, layer.blocks());
    values = most(values, layer.blocks() * sweep.plan.group * layer.out_pixels() * kLanes);
  }
  to.values = scratch.take<T>(values);
  return to;
}

// A group through all layers, into its rows of the result.
template <class From, class T>
void infer_group(const HeadSweep<T>& sweep, const From& from, const Unit& unit,
                 const HeadBuffers<T>& at, T* out) {
  const Head<T>& head = sweep.head;
  for (index i = 0; i < head.count; ++i) {
    const FoldedLayer<T>& by = sweep.layers[i];
    const HeadLayer<T>& layer = *by.layer;
    const T* values = i > 0 ? at.values : nullptr;
    if (layer.is_depthwise()) {
      Layout whole = by.at;
      whole.images = unit.images;
      for (index b = 0; b < layer.blocks() && i == 0; ++b)
        fill_planes(from, unit, whole, b, at.planes[i] + b * by.step());
      infer_depthwise(by, unit.images, static_cast<const T*>(at.planes[i]), at.values);
    } else if (i + 1 < head.count) {
      const FoldedLayer<T>& next = sweep.layers[i + 1];
      infer_pointwise(by, from, unit, values,
                      [&](index q, index block, Vec<T> v) __attribute__((always_inline)) {
                        store(at.planes[i + 1] + block * next.step() + next.offsets[q], v);
                      });
    } else {
      T* rows = out + unit.image * layer.pixels() * sweep.p.out + head.target;
      infer_pointwise(by, from, unit, values,
                      [&](index q, index block, Vec<T> v) __attribute__((always_inline)) {
                        store(rows + q * sweep.p.out + block * kLanes, v,
                              layer.out - block * kLanes);
                      });
    }
  }
}

template <class T>
void infer_shuffle(const ShuffleProblem<T>& p, T* out) {
  for (index h = 0; h < p.count; ++h) {
    Scratch scratch;
    const auto sweep = fold_head(scratch, p, p.heads[h]);
    const Plan& plan = sweep.plan;
    with_channels(p, [&](const auto& from) {
      parallel(p.executor, plan.chunks, 8 * p.images * p.pixels() * plan.shape.blocks(),
               [&](index chunk) {
                 Scratch task;
                 const auto at = take_buffers(task, sweep);
                 for (index g = plan.first_group(chunk); g < plan.first_group(chunk + 1); ++g) {
                   const Unit unit = plan.unit(g, 0);
                   if (p.keeps_half())
                     keep_half(p, unit.image * p.pixels(), unit.images * p.pixels(), out);
                   infer_group(sweep, from, unit, at, out);
                 }
               });
    });
  }
}

}  // namespace stnas::cpu::STNAS_ISA

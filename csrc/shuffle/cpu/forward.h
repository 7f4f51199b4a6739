// The training pass of a head, layer by layer: what a convolution gives is stored once, before its
// BN, with its moments; BN and activation are applied where the next layer reads it.
#pragma once

#include "bottleneck/cpu/expand.h"
#include "host/gemm.h"
#include "host/pack.h"
#include "shuffle/cpu/layer.h"

namespace stnas::cpu::STNAS_ISA {

// A 1x1 convolution: its weights [out / 16][in][16], and where a group's pixels go.
template <class T>
struct Pointwise {
  const HeadLayer<T>& layer;
  const T* panels;
  const int32_t* offsets;
};

template <class T>
Pointwise<T> pack_pointwise(Scratch& scratch, const HeadLayer<T>& layer, const Plan& plan) {
  T* panels = scratch.take<T>(layer.blocks() * layer.in * kLanes);
  pack_columns(layer.weight, layer.in, layer.out, layer.in, panels);
  return {layer, panels, group_offsets<T>(scratch, plan, layer.blocks())};
}

// Depthwise weights [channels, K, K] as [block][K, K][16].
template <class T>
const T* pack_taps(Scratch& scratch, const HeadLayer<T>& layer) {
  const index taps = layer.kernel * layer.kernel;
  T* packed = scratch.take<T>(layer.blocks() * taps * kLanes);
  pack_columns(layer.weight, taps, layer.out, taps, packed);
  return packed;
}

// The values of a group, tile of pixels by tile, and their moments.
template <class From, class T>
void pointwise_group(const Pointwise<T>& by, const From& from, const Unit& unit, Moments* moments) {
  const HeadLayer<T>& layer = by.layer;
  const index pixels = layer.pixels(), total = unit.images * pixels;
  const index row = layer.in_blocks() * kLanes, most_pixels = tile_pixels(row);
  T* values = layer.values + unit.image * layer.blocks() * pixels * kLanes;
  Scratch scratch;
  T* rows = scratch.take<T>(most_pixels * row);
  for (index q = 0; q < total; q += most_pixels) {
    const index count = least(most_pixels, total - q);
    fill_rows(from, unit, pixels, layer.in_blocks(), q, count, rows);
    multiply_blocks(layer.blocks(), count, Rows<T>{rows, row, layer.in}, by.panels,
                    [&](index i, index block, Vec<T> v) __attribute__((always_inline)) {
                      store(values + block * pixels * kLanes + by.offsets[q + i], v);
                    });
  }
  for (index b = 0; b < layer.blocks(); ++b)
    add_vectors(moments[b], values + b * pixels * kLanes, pixels, kLanes, unit.images,
                layer.blocks() * pixels * kLanes);
}

// Rows of a block of the input into planes laid out as `at`.
template <class From, class T>
STNAS_INLINE void fill_planes(const From& from, const Unit& unit, const Layout& at, index block,
                              T* planes) {
  for (index n = 0; n < unit.images; ++n)
    for (index row = 0; row < at.rows; ++row) {
      const auto value = from.at(unit.image + n, block, (at.top + row) * at.width);
      T* to = planes + ((n * at.rows + row) * at.pitch + at.left) * kLanes;
      for (index x = 0; x < at.width; ++x) store(to + x * kLanes, value(x));
    }
}

template <class T>
struct Depthwise {
  const HeadLayer<T>& layer;
  const T* taps;
  Convolve<T> convolve;
};

// The values of one unit, and their moments.
template <class From, class T>
void depthwise_unit(const Depthwise<T>& by, const Plan& plan, const From& from, const Unit& unit,
                    Moments* moments) {
  const HeadLayer<T>& layer = by.layer;
  const Layout at = input_layout<T>(plan.shape, unit.images, plan.inputs(unit));
  const index taps = layer.kernel * layer.kernel, step = layer.blocks() * layer.out_pixels();
  const index count = unit.rows.count() * layer.out_width();
  Scratch scratch;
  T* planes = take_planes<T>(scratch, at, 1);
  for (index b = 0; b < layer.blocks(); ++b) {
    T* to =
        layer.values +
        (unit.image * step + b * layer.out_pixels() + unit.rows.begin * layer.out_width()) * kLanes;
    fill_planes(from, unit, at, b, planes);
    for (index n = 0; n < unit.images; ++n)
      by.convolve(at.plane<const T>(planes, n), layer.height, unit.rows.begin, unit.rows.end,
                  layer.out_width(), by.taps + b * taps * kLanes, to + n * step * kLanes);
    add_vectors(moments[b], to, count, kLanes, unit.images, step * kLanes);
  }
}

// Values and statistics of a layer from its input.
template <class From, class T>
void train_pointwise(const ShuffleProblem<T>& p, const HeadLayer<T>& layer, const From& from) {
  const Plan plan = make_plan(shape_of(layer, p.images));
  Scratch scratch;
  const auto by = pack_pointwise(scratch, layer, plan);
  auto* moments = scratch.zeros<Moments>(plan.chunks * layer.blocks());
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    pointwise_group(by, from, plan.unit(g, 0), moments + chunk * layer.blocks());
  });
  finish_moments(moments, plan.chunks, layer.out, layer.statistics, layer.statistics + layer.out);
}

template <class From, class T>
void train_depthwise(const ShuffleProblem<T>& p, const HeadLayer<T>& layer, const From& from) {
  const Plan plan = make_plan(shape_of(layer, p.images));
  Scratch scratch;
  const Depthwise<T> by{layer, pack_taps(scratch, layer),
                        find_convolve<T>(layer.kernel, layer.stride, layer.width)};
  auto* moments = scratch.zeros<Moments>(plan.chunks * layer.blocks());
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    for (index strip = 0; strip < plan.strips; ++strip)
      depthwise_unit(by, plan, from, plan.unit(g, strip), moments + chunk * layer.blocks());
  });
  finish_moments(moments, plan.chunks, layer.out, layer.statistics, layer.statistics + layer.out);
}

// The channels of x that pass by, into the result: rows [first, first + count).
template <class T>
STNAS_INLINE void keep_half(const ShuffleProblem<T>& p, index first, index count, T* out) {
  const index in = p.in, row = p.out;
  for (index j = 0; j < in / 2; j += kLanes) {
    const T* from = p.x + first * in + 2 * j;
    T* to = out + first * row + j;
    const index lanes = in / 2 - j;
    for (index i = 0; i < count; ++i, from += in, to += row)
      store(to, load_each_second<0>(from, lanes), lanes);
  }
}

// The last layer's output into its channels of the result, beside the half that passes by.
template <class T>
void write_head(const ShuffleProblem<T>& p, const Head<T>& head, T* out) {
  const HeadLayer<T>& layer = head.layers[head.count - 1];
  const Plan plan = make_plan(shape_of(layer, p.images));
  const index pixels = layer.pixels(), row = p.out;
  Scratch scratch;
  const auto from = layer_output<Relu>(scratch, layer);
  for_each_group(plan, p.executor, [&](index g, index) {
    const Unit unit = plan.unit(g, 0);
    for (index image = unit.image; image < unit.image + unit.images; ++image)
      for (index first = 0; first < pixels; first += 64) {
        const index count = least(64, pixels - first);
        T* rows = out + (image * pixels + first) * row;
        for (index b = 0; b < layer.blocks(); ++b) {
          const auto value = from.at(image, b, first);
          const index lanes = layer.out - b * kLanes;
          T* to = rows + head.target + b * kLanes;
          for (index i = 0; i < count; ++i, to += row) store(to, value(i), lanes);
        }
        if (p.keeps_half()) keep_half(p, image * pixels + first, count, out);
      }
  });
}

template <class T>
void train_head(const ShuffleProblem<T>& p, const Head<T>& head, T* out) {
  for (index i = 0; i < head.count; ++i) {
    const HeadLayer<T>& layer = head.layers[i];
    Scratch scratch;
    if (layer.is_depthwise())
      with_input<Relu>(scratch, p, head, i,
                       [&](const auto& from) { train_depthwise(p, layer, from); });
    else
      with_input<Linear>(scratch, p, head, i,
                         [&](const auto& from) { train_pointwise(p, layer, from); });
  }
  write_head(p, head, out);
}

template <class T>
void train_shuffle(const ShuffleProblem<T>& p, T* out) {
  for (index h = 0; h < p.count; ++h) train_head(p, p.heads[h], out);
}

}  // namespace stnas::cpu::STNAS_ISA

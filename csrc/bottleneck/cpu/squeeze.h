// Squeeze-and-excitation over the images of a group: two small products.
#pragma once

#include "bottleneck/cpu/plan.h"
#include "host/activation.h"
#include "host/gemm.h"
#include "host/moments.h"

namespace stnas::cpu::STNAS_ISA {

template <class T>
struct Squeeze {
  const T *down, *down_bias;  // squeeze weights [R / 16][M][16]
  const T *up, *up_bias;      // excite weights [M / 16][R][16]
};

template <class T>
const T* pad_vector(Scratch& scratch, const T* from, index count) {
  T* to = scratch.zeros<T>(round_up(count, kLanes));
  for (index i = 0; i < count; ++i) to[i] = from[i];
  return to;
}

template <class T, class S>
Squeeze<T> pack_squeeze(Scratch& scratch, const Problem<T, S>& p) {
  const Shape& s = p.shape;
  T* down = scratch.take<T>(s.padded_squeeze() * s.padded());
  T* up = scratch.take<T>(s.padded() * s.squeeze);
  pack_columns(p.weights.squeeze_weight, s.hidden, s.squeeze, s.padded(), down);
  pack_columns(p.weights.excite_weight, s.squeeze, s.hidden, s.squeeze, up);
  return {down, pad_vector(scratch, p.weights.squeeze_bias, s.squeeze), up,
          pad_vector(scratch, p.weights.excite_bias, s.hidden)};
}

// gate = sigmoid(up relu(down pooled + b) + b') for rows of [pooled, squeezed, gate]; pooled is
// given.
template <class T>
void excite(const Shape& s, const Squeeze<T>& by, index images, T* rows) {
  const index row = s.excitation(), padded = s.padded(), narrow = s.padded_squeeze();
  T *squeezed = rows + padded, *gate = squeezed + narrow;
  for (index j = 0; j < narrow; j += kLanes)
    multiply(images, Rows<T>{rows, row, padded}, by.down + j * padded, [&](index i, Vec<T> v) {
      store(squeezed + i * row + j, at_least(zero<T>(), v + load(by.down_bias + j)));
    });
  for (index j = 0; j < padded; j += kLanes)
    multiply(
        images, Rows<T>{squeezed, row, s.squeeze}, by.up + j * s.squeeze,
        [&](index i, Vec<T> v) { store(gate + i * row + j, sigmoid(v + load(by.up_bias + j))); });
}

// Transposed weights for the gradient.
template <class T>
struct SqueezeGradient {
  const T* down;  // [M / 16][R][16]
  const T* up;    // [R / 16][M][16]
};

template <class T, class S>
SqueezeGradient<T> pack_squeeze_gradient(Scratch& scratch, const Problem<T, S>& p) {
  const Shape& s = p.shape;
  T* down = scratch.take<T>(s.padded() * s.squeeze);
  T* up = scratch.take<T>(s.padded_squeeze() * s.padded());
  pack_rows(p.weights.squeeze_weight, s.squeeze, s.hidden, s.squeeze, down);
  pack_rows(p.weights.excite_weight, s.hidden, s.squeeze, s.padded(), up);
  return {down, up};
}

// Rows of the gradient mirror those of the excitation: [d pooled / pixels, d squeezed, d gate]. The
// last is given and becomes the gradient before the sigmoid.
template <class T>
void excite_gradient(const Shape& s, const SqueezeGradient<T>& by, index images, const T* rows,
                     T* grad) {
  const index row = s.excitation(), padded = s.padded(), narrow = s.padded_squeeze();
  const T *squeezed = rows + padded, *gate = squeezed + narrow;
  T *grad_squeezed = grad + padded, *grad_gate = grad_squeezed + narrow;
  const auto one = broadcast(T(1)), share = broadcast(T(1) / T(s.out_pixels()));
  for (index i = 0; i < images; ++i)
    for (index j = 0; j < padded; j += kLanes) {
      const auto g = load(gate + i * row + j);
      T* at = grad_gate + i * row + j;
      store(at, load(at) * g * (one - g));
    }
  for (index j = 0; j < narrow; j += kLanes)
    multiply(images, Rows<T>{grad_gate, row, padded}, by.up + j * padded, [&](index i, Vec<T> v) {
      const auto h = load(squeezed + i * row + j);
      store(grad_squeezed + i * row + j, where_less(zero<T>(), h, v, zero<T>()));
    });
  for (index j = 0; j < padded; j += kLanes)
    multiply(images, Rows<T>{grad_squeezed, row, s.squeeze}, by.down + j * s.squeeze,
             [&](index i, Vec<T> v) { store(grad + i * row + j, v * share); });
}

}  // namespace stnas::cpu::STNAS_ISA

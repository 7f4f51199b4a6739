// The depthwise convolutions: lattices of pixels in planes of one block, and what they give.
#pragma once

#include "bottleneck/cpu/depthwise_grad.h"
#include "bottleneck/cpu/expand.h"
#include "separable/cpu/lanes.h"

namespace stnas::cpu::STNAS_ISA {

template <class T>
index largest_side(const SeparableProblem<T>& p) {
  index most_pixels = p.pixels();
  for (index t = 0; t < p.count; ++t)
    most_pixels = most(most_pixels, p.terms[t].height * p.terms[t].width);
  return most_pixels;
}

// Weights [in, K, K] as [block][K, K][16], repeated for each image of a group.
template <class T>
const T* pack_taps(Scratch& scratch, const SeparableProblem<T>& p, const Term<T>& term) {
  const index taps = term.taps(), lanes = p.lanes();
  if (!taps) return nullptr;
  T* packed = scratch.zeros<T>(p.in_blocks() * taps * kLanes);
  for (index c = 0; c < p.in; ++c)
    for (index f = 0; f < p.together(); ++f) {
      T* to = packed + (c / kLanes * taps) * kLanes + f * lanes + c % kLanes;
      for (index k = 0; k < taps; ++k) to[k * kLanes] = term.weight[c * taps + k];
    }
  return packed;
}

// One lattice of a term: the pixels of x and of the result that it joins.
template <class T>
struct Lattice {
  PixelGrid in, out;
  Shape shape;
  Layout input, output;

  Lattice(const SeparableProblem<T>& p, const Term<T>& term, index top, index left)
      : in{term.height, term.width, p.in, term.grid, top, left},
        out{p.height, p.width, kLanes, term.lattices(), top, left},
        shape{1, in.rows(), in.columns(), p.in, p.in, p.in, 1, term.kernel, term.inner_stride()},
        input(input_layout<T>(shape, 1, {0, in.rows()})),
        output(output_layout<T>(shape, 1, {0, out.rows()})) {}
  bool is_dense() const { return out.step == 1; }
};

// use(lattice) for every lattice of a term that has pixels.
template <class T, class Use>
void for_each_lattice(const SeparableProblem<T>& p, const Term<T>& term, const Use& use) {
  for (index top = 0; top < least(term.lattices(), p.height); ++top)
    for (index left = 0; left < least(term.lattices(), p.width); ++left)
      use(Lattice<T>(p, term, top, left));
}

// ReLU(x) of a lattice in a plane whose padding is zero.
template <class T>
Plane<const T> fill_input(Scratch& scratch, const SeparableProblem<T>& p, const Term<T>& term,
                          const Lattice<T>& at, index group, index images, index b) {
  const bool partial = images < p.together();
  const index size = at.input.vectors() * kLanes;
  T* plane = partial ? scratch.zeros<T>(size) : take_planes<T>(scratch, at.input, 1);
  load_images(term.x, at.in, group, images, p.lanes(), b,
              [&](index y) { return at.input.plane(plane, 0).at(y, 0); });
  return at.input.template plane<const T>(plane, 0);
}

// use(vector of the result, vector of the lattice) for the pixels that a lattice joins.
template <class T, class Result, class Dense, class Use>
STNAS_INLINE void for_each_pixel(const PixelGrid& out, Result* result, Dense* dense,
                                 const Use& use) {
  for (index y = 0; y < out.rows(); ++y) {
    Result* row = result + out.at(0, y);
    for (index x = 0; x < out.columns(); ++x, dense += kLanes)
      use(row + x * out.step * kLanes, dense);
  }
}

// A term with its weights packed and its kernel chosen for each lattice.
template <class T>
struct PackedTerm {
  const Term<T>& term;
  const T* taps;
};

template <class T>
Convolve<T> find_convolution(const Shape& s) {
  return s.kernel == 3 ? find_convolve<T, 3>(s.stride, s.width)
                       : find_convolve<T, 5>(s.stride, s.width);
}

template <class T>
DepthwiseGradient<T> find_convolution_gradient(const Shape& s) {
  return s.kernel == 3 ? find_gradient<T, 3>(s.stride, s.width)
                       : find_gradient<T, 5>(s.stride, s.width);
}

// The pixels of x that a term without weights reads.
template <class T>
PixelGrid read_pixels(const SeparableProblem<T>& p, const Term<T>& term) {
  return {term.height, term.width, p.in, term.stride, term.shift, term.shift};
}

// ReLU of these pixels, dense; `from` lacks the last row and column where they lie beyond x.
template <class T>
T* load_read(Scratch& scratch, const SeparableProblem<T>& p, const Term<T>& term,
             const PixelGrid& from, index group, index images, index b) {
  T* dense = scratch.zeros<T>(from.rows() * from.columns() * kLanes);
  load_images(term.x, from, group, images, p.lanes(), b,
              [&](index y) { return dense + y * from.columns() * kLanes; });
  return dense;
}

template <class T>
void copy_term(const SeparableProblem<T>& p, const Term<T>& term, index group, index images,
               index b, bool add, T* to) {
  Scratch scratch;
  const PixelGrid from = read_pixels(p, term);
  const T* dense = load_read(scratch, p, term, from, group, images, b);
  const bool whole = from.rows() == p.height && from.columns() == p.width;
  if (!add && !whole) __builtin_memset((void*)to, 0, sizeof(T) * size_t(p.pixels() * kLanes));
  for (index y = 0; y < from.rows(); ++y)
    for (index x = 0; x < from.columns(); ++x, dense += kLanes) {
      T* pixel = to + (y * p.width + x) * kLanes;
      store(pixel, add ? load(pixel) + load(dense) : load(dense));
    }
}

// Adds block b of a term's result for a group to `to` [pixels][16], or sets it.
template <class T>
void apply_term(const SeparableProblem<T>& p, const PackedTerm<T>& by, index group, index images,
                index b, bool add, T* to) {
  if (!by.taps) return copy_term(p, by.term, group, images, b, add, to);
  const T* taps = by.taps + b * by.term.taps() * kLanes;
  for_each_lattice(p, by.term, [&](const Lattice<T>& at) {
    Scratch scratch;
    const auto plane = fill_input(scratch, p, by.term, at, group, images, b);
    const bool direct = !add && at.is_dense();
    T* dense = direct ? to : scratch.take<T>(at.out.rows() * at.out.columns() * kLanes);
    find_convolution<T>(at.shape)(plane, at.in.rows(), 0, at.out.rows(), at.out.columns(), taps,
                                  dense);
    if (direct) return;
    for_each_pixel<T>(at.out, to, dense,
                      [&](T* result, const T* from) __attribute__((always_inline)) {
                        const auto value = load(from);
                        store(result, add ? load(result) + value : value);
                      });
  });
}

}  // namespace stnas::cpu::STNAS_ISA

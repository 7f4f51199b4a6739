// The gradient in two sweeps. With g the gradient of the result, d the values, m and C their mean
// and covariance, r = 1 / std and a the scale times the BN's weight: the first takes G = sum g (d -
// m)' and s1 = sum g. They give s2 = r (W o G) 1, the gradients of the scale (sum of s2), of the
// BN's weight and bias (s2 and s1, scaled) and of the 1x1, a r (G - r s2 W C), and what the second
// applies to every pixel: dd = B g - A (d - m) - c with B = a W' r, A = a W' (r^2 s2 / P) W and c =
// B s1 / P. The depthwise gradients follow from dd in the cache.
#pragma once

#include "separable/cpu/forward.h"

namespace stnas::cpu::STNAS_ISA {

// Sums of the first sweep: G as [out block][in block][16][16] and s1 [out block][16].
template <class T>
struct FirstSums {
  T* products;
  double* plain;
};

// The gradient of the result beside the deviations of the values, a tile of pixels at a time, as
// [out blocks, in blocks][count][16]: use(group, first pixel, count, tile, step).
template <class T, class Use>
void for_each_gradient_tile(const SeparableProblem<T>& p, const T* grad, const T* mean,
                            const ImageGroups& unit, const Use& use) {
  const index in = p.in_blocks(), out = p.out_blocks(), pixels = p.pixels();
  const index step = kTilePixels * kLanes;
  Scratch scratch;
  T* tile = scratch.take<T>((in + out) * step);
  for (index g = unit.first; g < unit.first + unit.count; ++g)
    for (index q = 0; q < pixels; q += kTilePixels) {
      const index count = least(kTilePixels, pixels - q);
      load_pixels(grad, p.out, pixels, g, unit.images, p.lanes(), q, count, step, tile);
      subtract_mean(p.values + g * in * pixels * kLanes, in, pixels, q, count, mean, step,
                    tile + out * step);
      use(g, q, count, tile, step);
    }
}

// The mean [in block][16], repeated for each image of a group.
template <class T>
const T* lane_means(Scratch& scratch, const SeparableProblem<T>& p) {
  T* mean = scratch.zeros<T>(p.in_blocks() * kLanes);
  for (index c = 0; c < p.in; ++c)
    for (index f = 0; f < p.together(); ++f) mean[f * p.lanes() + c] = p.moments[c];
  return mean;
}

template <class T>
FirstSums<T> first_sweep(Scratch& scratch, const SeparableProblem<T>& p, const GroupPlan& plan,
                         const T* grad, const T* mean) {
  const index in = p.in_blocks(), out = p.out_blocks(), size = in * out * kLanes * kLanes;
  T* products = scratch.zeros<T>(plan.chunks * size);
  double* plain = scratch.zeros<double>(plan.chunks * out * kLanes);
  plan.for_each(p.executor, [&](const ImageGroups& unit, index chunk) {
    for_each_gradient_tile(p, grad, mean, unit,
                           [&](index, index, index count, const T* tile, index step) {
                             correlate_blocks(tile, out, tile + out * step, in, count, step, false,
                                              products + chunk * size);
                             for (index b = 0; b < out; ++b)
                               add_lanes(column_sums(count, tile + b * step, kLanes),
                                         plain + (chunk * out + b) * kLanes);
                           });
  });
  add_parts(p.executor, plan.chunks, size, products);
  add_parts(p.executor, plan.chunks, out * kLanes, plain);
  return {products, plain};
}

// dd = panels' [g, d - m] - offset: panels [in block][out + in lanes][16], offset [in block][16].
template <class T>
struct TermGradient {
  T *panels, *offset;
};

// What the sums come to in double: row c of G and of W C, and s1 [out].
template <class T>
struct ChannelSums {
  double *products, *spread, *plain;

  ChannelSums(Scratch& scratch, const SeparableProblem<T>& p, const FirstSums<T>& sums) {
    products = scratch.zeros<double>(p.out * p.in);
    spread = scratch.zeros<double>(p.out * p.in);
    plain = scratch.zeros<double>(p.out);
    const T* covariance = p.moments + p.in;
    for (index c = 0; c < p.out; ++c) {
      double *own = products + c * p.in, *to = spread + c * p.in;
      for (index f = 0; f < p.together(); ++f) {
        const index lane = f * p.lanes();
        plain[c] += sums.plain[lane + c];
        for (index k = 0; k < p.in; ++k) {
          const index block = c / kLanes * p.in_blocks() + k / kLanes;
          const index row = block * kLanes + (lane + c) % kLanes;
          own[k] += double(sums.products[row * kLanes + (lane + k) % kLanes]);
        }
      }
      for (index j = 0; j < p.in; ++j) {
        const double weight = double(p.weight[c * p.in + j]);
        for (index k = 0; k < p.in; ++k) to[k] += weight * double(covariance[j * p.in + k]);
      }
    }
  }
};

// Puts the matrices of dd for channel pairs into panels, once for each image of a group.
template <class T>
TermGradient<T> pack_gradient(Scratch& scratch, const SeparableProblem<T>& p, const double* b,
                              const double* a, const double* offset) {
  const index in = p.in_blocks() * kLanes, out = p.out_blocks() * kLanes, row = in + out;
  TermGradient<T> to{scratch.zeros<T>(p.in_blocks() * row * kLanes), scratch.zeros<T>(in)};
  for (index k = 0; k < p.in; ++k)
    for (index f = 0; f < p.together(); ++f) {
      const index first = f * p.lanes(), lane = first + k;
      T* panel = to.panels + lane / kLanes * row * kLanes + lane % kLanes;
      to.offset[lane] = T(offset[k]);
      for (index c = 0; c < p.out; ++c) panel[(first + c) * kLanes] = T(b[c * p.in + k]);
      for (index j = 0; j < p.in; ++j) panel[(out + first + j) * kLanes] = T(-a[j * p.in + k]);
    }
  return to;
}

// Writes the gradients of the 1x1, of the scale and of the BN's weight and bias; returns what gives
// that of the values.
template <class T>
TermGradient<T> finish_first(Scratch& scratch, const SeparableProblem<T>& p,
                             const FirstSums<T>& sums, const SeparableGradients<T>& to) {
  const ChannelSums<T> own(scratch, p, sums);
  double *b = scratch.zeros<double>(p.out * p.in), *a = scratch.zeros<double>(p.in * p.in);
  double *offset = scratch.zeros<double>(p.in), total = 0;
  const double count = double(p.images * p.pixels());
  for (index c = 0; c < p.out; ++c) {
    const T* weight = p.weight + c * p.in;
    const double inverse = inverse_deviation(p, c), scale = p.whole_scale() * p.weight_of(c);
    double normed = 0;
    for (index k = 0; k < p.in; ++k) normed += double(weight[k]) * own.products[c * p.in + k];
    normed *= inverse;
    total += p.weight_of(c) * normed + p.bias_of(c) * own.plain[c];
    to.affine[c] = T(p.whole_scale() * normed);
    to.affine[p.out + c] = T(p.whole_scale() * own.plain[c]);
    const double pull = scale * inverse * inverse * normed / count;
    for (index k = 0; k < p.in; ++k) {
      const double by = scale * inverse * double(weight[k]);
      b[c * p.in + k] = by;
      offset[k] += by * own.plain[c] / count;
      to.weight[c * p.in + k] =
          T(scale * inverse *
            (own.products[c * p.in + k] - inverse * normed * own.spread[c * p.in + k]));
      const double left = pull * double(weight[k]);
      for (index j = 0; j < p.in; ++j) a[k * p.in + j] += left * double(weight[j]);
    }
  }
  *to.scale = T(total);
  return pack_gradient(scratch, p, b, a, offset);
}

// dd of a group, [in block][pixels][16].
template <class T>
void group_gradient(const SeparableProblem<T>& p, const T* grad, const T* mean,
                    const TermGradient<T>& by, index group, index images, T* dd) {
  const index in = p.in_blocks(), out = p.out_blocks(), pixels = p.pixels();
  for_each_gradient_tile(p, grad, mean, {group, 1, images},
                         [&](index, index first, index count, const T* tile, index step) {
                           multiply_blocks(
                               in, count, Rows<T>{tile, kLanes, kLanes, in + out, step}, by.panels,
                               [&](index i, index block, Vec<T> v) __attribute__((always_inline)) {
                                 store(dd + (block * pixels + first + i) * kLanes,
                                       v - load(by.offset + block * kLanes));
                               });
                         });
}

// The gradient of the x of a term without weights, from dd of block b of a group.
template <class T>
void differentiate_copy(const SeparableProblem<T>& p, const Term<T>& term, index group,
                        index images, index b, const T* dd, T* of_x) {
  Scratch scratch;
  const PixelGrid from = read_pixels(p, term);
  T* dense = load_read(scratch, p, term, from, group, images, b);
  const auto cap = broadcast(T(Relu::kCap));
  T* at = dense;
  for (index y = 0; y < from.rows(); ++y)
    for (index x = 0; x < from.columns(); ++x, at += kLanes)
      store(at, keep_between(load(dd + (y * p.width + x) * kLanes), load(at), cap));
  store_images(dense, of_x, from, group, images, p.lanes(), b);
}

// Gradients of a term's weights, += [block][K, K][16], and of its x, from dd of block b of a group.
template <class T>
void differentiate_term(const SeparableProblem<T>& p, const PackedTerm<T>& by, index group,
                        index images, index b, const T* dd, T* weight, T* of_x) {
  const index taps = by.term.taps();
  if (!by.taps) return differentiate_copy(p, by.term, group, images, b, dd, of_x);
  for_each_lattice(p, by.term, [&](const Lattice<T>& at) {
    Scratch scratch;
    const auto input = fill_input(scratch, p, by.term, at, group, images, b);
    T* plane = take_planes<T>(scratch, at.output, 1);
    const auto output = at.output.plane(plane, 0);
    for (index y = 0; y < at.out.rows(); ++y) {
      const T* from = dd + at.out.at(0, y);
      T* to = output.at(y, 0);
      for (index x = 0; x < at.out.columns(); ++x)
        store(to + x * kLanes, load(from + x * at.out.step * kLanes));
    }
    const auto grad = at.output.template plane<const T>(plane, 0);
    const auto gradient = find_convolution_gradient<T>(at.shape);
    T* dense = scratch.take<T>(at.in.rows() * at.in.columns() * kLanes);
    gradient.weight(input, at.in.rows(), 0, at.out.rows(), at.out.columns(), grad,
                    weight + b * taps * kLanes);
    gradient.data(grad, at.out.rows(), 0, at.in.rows(), at.in.columns(),
                  by.taps + b * taps * kLanes, {input, Relu::kCap}, dense);
    store_images(dense, of_x, at.in, group, images, p.lanes(), b);
  });
}

// Pixels of x that are not read have no gradient.
template <class T>
void clear_unread(const SeparableProblem<T>& p, const Term<T>& term, const ImageGroups& unit,
                  T* of_x) {
  if (term.reads_all()) return;
  const index size = term.height * term.width * p.in;
  const index first = unit.first * p.together(), images = unit.count * unit.images;
  __builtin_memset((void*)(of_x + first * size), 0, sizeof(T) * size_t(images * size));
}

// Weights' gradients [block][K, K][16] as [in, K, K], added over the images of a group.
template <class T>
void unpack_taps(const SeparableProblem<T>& p, index taps, const T* from, T* to) {
  for (index c = 0; c < p.in; ++c)
    for (index k = 0; k < taps; ++k) {
      T total = 0;
      for (index f = 0; f < p.together(); ++f)
        total += from[(c / kLanes * taps + k) * kLanes + f * p.lanes() + c % kLanes];
      to[c * taps + k] = total;
    }
}

template <class T>
void second_sweep(const SeparableProblem<T>& p, const GroupPlan& plan, const T* grad, const T* mean,
                  const TermGradient<T>& by, const SeparableGradients<T>& to) {
  const index block = p.pixels() * kLanes;
  index size = 0;
  Scratch scratch;
  auto** taps = scratch.take<const T*>(p.count);
  for (index t = 0; t < p.count; ++t) {
    taps[t] = pack_taps(scratch, p, p.terms[t]);
    size += p.in_blocks() * p.terms[t].taps() * kLanes;
  }
  T* weight = scratch.zeros<T>(plan.chunks * size);
  plan.for_each(p.executor, [&](const ImageGroups& unit, index chunk) {
    Scratch own;
    T* dd = own.take<T>(p.in_blocks() * block);
    for (index t = 0; t < p.count; ++t) clear_unread(p, p.terms[t], unit, to.x[t]);
    for (index g = unit.first; g < unit.first + unit.count; ++g) {
      group_gradient(p, grad, mean, by, g, unit.images, dd);
      T* sums = weight + chunk * size;
      for (index t = 0; t < p.count; ++t) {
        for (index b = 0; b < p.in_blocks(); ++b)
          differentiate_term(p, PackedTerm<T>{p.terms[t], taps[t]}, g, unit.images, b,
                             dd + b * block, sums, to.x[t]);
        sums += p.in_blocks() * p.terms[t].taps() * kLanes;
      }
    }
  });
  add_parts(p.executor, plan.chunks, size, weight);
  for (index t = 0; t < p.count; ++t) {
    unpack_taps(p, p.terms[t].taps(), weight, to.depthwise[t]);
    weight += p.in_blocks() * p.terms[t].taps() * kLanes;
  }
}

template <class T>
void differentiate_separable(const SeparableProblem<T>& p, const T* grad,
                             const SeparableGradients<T>& to) {
  const GroupPlan plan = group_plan(p);
  Scratch scratch;
  const T* mean = lane_means(scratch, p);
  const auto sums = first_sweep(scratch, p, plan, grad, mean);
  const auto by = finish_first(scratch, p, sums, to);
  second_sweep(p, plan, grad, mean, by, to);
}

}  // namespace stnas::cpu::STNAS_ISA

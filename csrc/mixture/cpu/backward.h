// The gradient of a mixed node. With g the gradient of the node and Q = sum3x3(g / pixels of the
// window), the adjoint of the mean:
//   dx_s = skip_s g + pool_s Q,  dskip_s = <g, x_s>,  dpool_s = <Q, x_s>,
//   dz_b = scale (g - s1 / P - (z - m) r^2 s2 / P),  s1 = sum g,  s2 = sum g (z - m),
//   dshare_b = sum over channels of r s2.
// One pass gives all sums and dx; dz is made of the sums where it is read (cpu/convolution.h).
#pragma once

#include "host/partial_sums.h"
#include "mixture/cpu/forward.h"

namespace stnas::cpu::STNAS_ISA {

// Sums over the pixels, by channel: of g, of each branch, and skip and pool of each source.
template <class T>
struct MixedSums {
  index branches, sources, padded;

  explicit MixedSums(const MixedNode<T>& p)
      : branches(p.branch_count), sources(p.source_count), padded(p.blocks() * kLanes) {}
  index terms() const { return 1 + branches + 2 * sources; }
  index size() const { return terms() * padded; }
  index skip(index s) const { return 1 + branches + 2 * s; }
};

// Adds the products of a run of pixels to a sum.
template <int N, int Count, class T>
STNAS_INLINE void add_products(T* to, const Vec<T, N>* a, const Vec<T, N>* b) {
  auto sum = load<N>(to);
  each<Count>([&](int i) { sum = sum + a[i] * b[i]; });
  store(to, sum);
}

// The gradient of a panel; partial holds the sums of its image.
template <int N, class Lanes, class T>
struct GradientPanel {
  const MixedPanel<N, Lanes, T>& own;
  const MixedGradients<T>& to;
  const MixedSums<T> layout;
  T* partial;

  // What row r gives to Q, and to the sum of g.
  void fill(index r, T* row, const WindowSums<N, T>& windows) const {
    auto total = load<N>(partial);
    for (index w = 0; w < own.p.width; ++w, row += N) {
      const auto g = load<N>(to.grad + own.at(r, w), own.lanes);
      total = total + g;
      store(row, g * windows.share(r, w));
    }
    store(partial, total);
  }

  // Pixels w, w + 1, ... of row r.
  template <int Count>
  STNAS_INLINE void differentiate(const WindowSums<N, T>& windows, index r, index w) const {
    const MixedNode<T>& p = own.p;
    Vec<T, N> g[Count], q[Count], x[Count];
    each<Count>([&](int i) {
      g[i] = load<N>(to.grad + own.at(r, w + i), own.lanes);
      q[i] = windows.sum(r, w + i);
    });
    for (index s = 0; s < p.source_count; ++s) {
      add_to_source<Count>(s, own.at(r, w), g, q);
      if (!to.skip) continue;
      const T* from = p.sources[s].x + own.at(r, w);
      each<Count>([&](int i) { x[i] = load<N>(from + i * p.channels, own.lanes); });
      add_products<N, Count>(partial + layout.skip(s) * N, g, x);
      add_products<N, Count>(partial + (layout.skip(s) + 1) * N, q, x);
    }
    for (index b = 0; b < p.branch_count; ++b) {
      const auto mean = load<N>(own.folds[b].mean + own.j);
      const auto& branch = p.branches[b];
      const T* z = branch.z + (own.first + r * p.width + w) * branch.row + own.j;
      each<Count>([&](int i) { x[i] = load<N>(z + i * branch.row, own.lanes) - mean; });
      add_products<N, Count>(partial + (1 + b) * N, g, x);
    }
  }

  template <int Count>
  STNAS_INLINE void add_to_source(index s, index at, const Vec<T, N>* g, const Vec<T, N>* q) const {
    const MixedNode<T>& p = own.p;
    const auto skip = broadcast<N>(p.sources[s].skip), pool = broadcast<N>(p.sources[s].pool);
    T* grad_x = to.x[s] + at;
    each<Count>([&](int i) {
      auto value = skip * g[i] + pool * q[i];
      if (to.add) value = value + load<N>(grad_x + i * p.channels, own.lanes);
      store(grad_x + i * p.channels, value, own.lanes);
    });
  }
};

// One panel of an image; sums [terms][padded] of the image.
template <int N, class Lanes, class T>
void differentiate_panel(const MixedPanel<N, Lanes, T>& own, const MixedGradients<T>& to,
                         double* sums) {
  Scratch scratch;
  const MixedNode<T>& p = own.p;
  const MixedSums<T> layout(p);
  WindowSums<N, T> windows(scratch, p.height, p.width);
  const GradientPanel<N, Lanes, T> panel{own, to, layout, scratch.zeros<T>(layout.terms() * N)};
  const auto fill = [&](index r, T* row) { panel.fill(r, row, windows); };
  windows.take(0, fill);
  for (index r = 0; r < p.height; ++r) {
    windows.take(r + 1, fill);
    for_each_run(p.width,
                 [&](auto count, index w) { panel.template differentiate<count>(windows, r, w); });
  }
  for (index t = 0; t < layout.terms(); ++t)
    add_lanes(load<N>(panel.partial + t * N), sums + t * layout.padded + own.j);
}

// The gradients of the shares, and the corrections: of each branch m, scale, scale s1 / P and
// scale r^2 s2 / P.
template <class T>
void finish_sums(const MixedNode<T>& p, const Fold<T>* folds, const double* sums,
                 const MixedGradients<T>& to) {
  const MixedSums<T> layout(p);
  const index padded = layout.padded;
  const double count = double(p.images * p.pixels());
  const auto total = [&](index term, index c) { return sums[term * padded + c]; };
  for (index b = 0; b < p.branch_count; ++b) {
    T* own = to.corrections + 4 * b * p.channels;
    double of_share = 0;
    for (index c = 0; c < p.channels; ++c, ++own) {
      const double scale = double(folds[b].scale[c]), inverse = double(folds[b].inverse[c]);
      own[0] = folds[b].mean[c];
      own[p.channels] = folds[b].scale[c];
      own[2 * p.channels] = T(scale * total(0, c) / count);
      own[3 * p.channels] = T(scale * inverse * inverse * total(1 + b, c) / count);
      of_share += inverse * total(1 + b, c);
    }
    if (to.skip) to.skip[2 * p.source_count + b] = T(of_share);
  }
  for (index s = 0; to.skip && s < p.source_count; ++s) {
    double of_skip = 0, of_pool = 0;
    for (index c = 0; c < p.channels; ++c) {
      of_skip += total(layout.skip(s), c);
      of_pool += total(layout.skip(s) + 1, c);
    }
    to.skip[s] = T(of_skip), to.skip[p.source_count + s] = T(of_pool);
  }
}

template <class T>
void differentiate_mixture(const MixedNode<T>& p, const MixedGradients<T>& to) {
  Scratch scratch;
  const auto* folds = fold_branches(scratch, p);
  const MixedSums<T> layout(p);
  double* sums = scratch.zeros<double>(p.images * layout.size());
  for_each_panel_of(p, folds, 4 + layout.terms(), [&](const auto& panel, index image) {
    differentiate_panel(panel, to, sums + image * layout.size());
  });
  add_parts(p.executor, p.images, layout.size(), sums);
  finish_sums(p, folds, sums, to);
}

}  // namespace stnas::cpu::STNAS_ISA

// The value of a mixed node in one pass.
#pragma once

#include "mixture/cpu/windows.h"
#include "mixture/problem.h"

namespace stnas::cpu::STNAS_ISA {

// The BN of each branch with its share: z -> (z - mean) scale, scale = share / std.
template <class T>
Fold<T>* fold_branches(Scratch& scratch, const MixedNode<T>& p) {
  auto* folds = scratch.take<Fold<T>>(p.branch_count);
  for (index b = 0; b < p.branch_count; ++b) {
    const auto& branch = p.branches[b];
    folds[b] = fold_norm(scratch, Norm<T>{}, branch.mean, branch.var, p.channels);
    for (index c = 0; c < p.channels; ++c) folds[b].scale[c] *= branch.share;
  }
  return folds;
}

// One panel of an image, from channel j on; first: its first pixel.
template <int N, class Lanes, class T>
struct MixedPanel {
  const MixedNode<T>& p;
  const Fold<T>* folds;
  index first, j;
  Lanes lanes;

  // The place of a pixel in a node.
  STNAS_INLINE index at(index r, index w) const {
    return (first + r * p.width + w) * p.channels + j;
  }

  // What row r gives to the mean: sum_s pool_s x_s.
  void fill(index r, T* to) const {
    for_each_run(p.width, [&](auto count, index w) {
      Vec<T, N> sum[count];
      each<count>([&](int i) { sum[i] = zero<T, N>(); });
      for (index s = 0; s < p.source_count; ++s) {
        const auto pool = broadcast<N>(p.sources[s].pool);
        const T* x = p.sources[s].x + at(r, w);
        each<count>([&](int i) { sum[i] = sum[i] + pool * load<N>(x + i * p.channels, lanes); });
      }
      each<count>([&](int i) { store(to + (w + i) * N, sum[i]); });
    });
  }

  // Pixels w, w + 1, ... of row r.
  template <int Count>
  STNAS_INLINE void mix(const WindowSums<N, T>& windows, index r, index w, T* out) const {
    Vec<T, N> sum[Count];
    each<Count>([&](int i) { sum[i] = windows.sum(r, w + i) * windows.share(r, w + i); });
    for (index s = 0; s < p.source_count; ++s) {
      const auto skip = broadcast<N>(p.sources[s].skip);
      const T* x = p.sources[s].x + at(r, w);
      each<Count>([&](int i) { sum[i] = sum[i] + skip * load<N>(x + i * p.channels, lanes); });
    }
    for (index b = 0; b < p.branch_count; ++b) {
      const auto mean = load<N>(folds[b].mean + j), scale = load<N>(folds[b].scale + j);
      const auto& branch = p.branches[b];
      const T* z = branch.z + (first + r * p.width + w) * branch.row + j;
      each<Count>(
          [&](int i) { sum[i] = sum[i] + (load<N>(z + i * branch.row, lanes) - mean) * scale; });
    }
    each<Count>([&](int i) { store(out + at(r, w + i), sum[i], lanes); });
  }
};

template <int N, class Lanes, class T>
void mix_panel(const MixedPanel<N, Lanes, T>& panel, T* out) {
  Scratch scratch;
  const MixedNode<T>& p = panel.p;
  WindowSums<N, T> windows(scratch, p.height, p.width);
  const auto fill = [&](index r, T* to) { panel.fill(r, to); };
  windows.take(0, fill);
  for (index r = 0; r < p.height; ++r) {
    windows.take(r + 1, fill);
    for_each_run(p.width,
                 [&](auto count, index w) { panel.template mix<count>(windows, r, w, out); });
  }
}

// use(MixedPanel) for the panels of every image.
template <class T, class Use>
void for_each_panel_of(const MixedNode<T>& p, const Fold<T>* folds, index work, const Use& use) {
  parallel(p.executor, p.images, work * p.images * p.pixels() * p.blocks(), [&](index image) {
    for_each_panel(p.channels, [&](auto N, index j) {
      with_lanes<N>(p.channels - j, [&](auto lanes) {
        use(MixedPanel<N, decltype(lanes), T>{p, folds, image * p.pixels(), j, lanes}, image);
      });
    });
  });
}

template <class T>
void mix(const MixedNode<T>& p, T* out) {
  Scratch scratch;
  const auto* folds = fold_branches(scratch, p);
  for_each_panel_of(p, folds, 4 + 2 * p.source_count + p.branch_count,
                    [&](const auto& panel, index) { mix_panel(panel, out); });
}

}  // namespace stnas::cpu::STNAS_ISA

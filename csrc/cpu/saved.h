// The tensors that the forward pass of the choice block leaves to its gradient, on every device.
#pragma once

#include "binding.h"

namespace stnas::cpu {

// What the gradient needs, in the order of the schema.
struct SavedTensors {
  Tensor statistics, hidden, projected, excitation, expanded;

  template <class S>
  Saved<Wide<S>, S> pointers() const {
    using T = Wide<S>;
    return {data<T>(statistics), data<S>(hidden),   data<S>(projected),
            data<T>(excitation), data<S>(expanded), data<T>(expanded)};
  }
};

struct SavedSizes {
  std::vector<index> statistics, hidden, projected, excitation, expanded;

  explicit SavedSizes(const Shape& s)
      : statistics{4 * s.hidden + 2 * s.out},
        hidden{s.images, s.blocks(), s.out_pixels(), kBlock},
        projected{s.images, s.out_pixels(), s.out},
        excitation{s.images, s.excitation()},
        expanded{1 + s.hidden, s.in} {
    if (s.stores_expanded()) expanded = {s.images, s.blocks(), s.pixels(), kBlock};
  }
};

inline SavedTensors allocate(const Tensor& x, const Shape& s) {
  const SavedSizes sizes(s);
  return {like_sums(x, sizes.statistics), like(x, sizes.hidden), like(x, sizes.projected),
          like_sums(x, sizes.excitation),
          s.stores_expanded() ? like(x, sizes.expanded) : like_sums(x, sizes.expanded)};
}

inline void check_saved(const SavedTensors& saved, const Tensor& x, const Shape& s) {
  const SavedSizes sizes(s);
  check_type(saved.statistics, "statistics", x);
  check_same_type(saved.hidden, "hidden", x);
  check_same_type(saved.projected, "projected", x);
  check_type(saved.excitation, "excitation", x);
  s.stores_expanded() ? check_same_type(saved.expanded, "expanded", x)
                      : check_type(saved.expanded, "expanded", x);
  check_size(saved.statistics, "statistics", sizes.statistics);
  check_size(saved.hidden, "hidden", sizes.hidden);
  check_size(saved.projected, "projected", sizes.projected);
  check_size(saved.excitation, "excitation", sizes.excitation);
  check_size(saved.expanded, "expanded", sizes.expanded);
}

}  // namespace stnas::cpu

// The tensors that the forward pass of the choice block leaves to its gradient, on every device.
#pragma once

#include "bottleneck/block.h"

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
  // Raises where the gradient of a block of x cannot use them.
  void check(const Tensor& x, const Shape& s) const;
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

// Memory for a Saved: take(zero, count) gives that of `count` values of the type of zero.
template <class S, class Take>
Saved<Wide<S>, S> take_saved(const Shape& s, const Take& take) {
  using T = Wide<S>;
  const SavedSizes sizes(s);
  const bool stored = s.stores_expanded();
  const auto part = [&](auto zero, const std::vector<index>& size) {
    index count = 1;
    for (index length : size) count *= length;
    return take(zero, count);
  };
  return {part(T{}, sizes.statistics),
          part(S{}, sizes.hidden),
          part(S{}, sizes.projected),
          part(T{}, sizes.excitation),
          stored ? part(S{}, sizes.expanded) : nullptr,
          stored ? nullptr : part(T{}, sizes.expanded)};
}

// The same in one tensor of the dtype that x is computed in, for what nobody else reads.
struct SavedPiece {
  Tensor memory;
  Shape shape;

  static SavedPiece allocate(const Tensor& x, const Shape& s) {
    return {like_sums(x, {numbers(x, s)}), s};
  }
  void check(const Tensor& x, const Shape& s) const {
    check_type(memory, "kept", x);
    check_size(memory, "kept", {numbers(x, s)});
  }
  template <class S>
  Saved<Wide<S>, S> pointers() const {
    auto* next = data<char>(memory);
    return take_saved<S>(shape, [&](auto zero, index count) {
      auto* part = reinterpret_cast<decltype(zero)*>(next);
      next += bytes<decltype(zero)>(count);
      return part;
    });
  }

 private:
  // Parts begin at multiples of 64 bytes.
  template <class Value>
  static index bytes(index count) {
    return round_up(count * index(sizeof(Value)), 64);
  }
  static index numbers(const Tensor& x, const Shape& s) {
    return with_type(x, [&](auto zero) {
      using S = decltype(zero);
      index total = 0;
      take_saved<S>(s, [&](auto value, index count) {
        total += bytes<decltype(value)>(count);
        return static_cast<decltype(value)*>(nullptr);
      });
      return total / index(sizeof(Wide<S>));
    });
  }
};

inline SavedTensors allocate(const Tensor& x, const Shape& s) {
  const SavedSizes sizes(s);
  return {like_sums(x, sizes.statistics), like(x, sizes.hidden), like(x, sizes.projected),
          like_sums(x, sizes.excitation),
          s.stores_expanded() ? like(x, sizes.expanded) : like_sums(x, sizes.expanded)};
}

inline void SavedTensors::check(const Tensor& x, const Shape& s) const {
  const SavedSizes sizes(s);
  check_type(statistics, "statistics", x);
  check_same_type(hidden, "hidden", x);
  check_same_type(projected, "projected", x);
  check_type(excitation, "excitation", x);
  s.stores_expanded() ? check_same_type(expanded, "expanded", x)
                      : check_type(expanded, "expanded", x);
  check_size(statistics, "statistics", sizes.statistics);
  check_size(hidden, "hidden", sizes.hidden);
  check_size(projected, "projected", sizes.projected);
  check_size(excitation, "excitation", sizes.excitation);
  check_size(expanded, "expanded", sizes.expanded);
}

}  // namespace stnas::cpu

// A call of the choice block's kernels on values of its own.
#pragma once

#include "bottleneck/tests/naive.h"

namespace stnas::cpu::test {

// Of Saved::expanded.
inline index expanded_size(const Shape& s) {
  return s.stores_expanded() ? s.images * s.padded() * s.pixels() : (1 + s.hidden) * s.in;
}

// All values of one call in T, each in memory of its exact size.
template <class T>
struct Call {
  std::vector<std::vector<T>> values;
  std::vector<T> mean[3], var[3];
  Problem<T> problem;

  Call(const Shape& s, Inputs in, Activation activation, bool residual) {
    for (const Values* part : in.parameters()) values.push_back(cast<T>(*part));
    for (int i = 0; i < 3; ++i) {
      mean[i] = cast<T>(in.mean[i]);
      var[i] = cast<T>(in.var[i]);
    }
    const auto at = [&](int i) { return values[size_t(i)].data(); };
    problem = {s,        at(0),      {at(1), at(2), at(3), at(4), at(5), at(6), at(7)},
               {},       activation, residual,
               kExecutor};
    for (int i = 0; i < 3; ++i)
      problem.norms[i] = {at(8 + 2 * i), at(9 + 2 * i), mean[i].data(), var[i].data()};
  }

  std::vector<T> empty(index count) const { return std::vector<T>(size_t(count), T(NAN)); }
};

}  // namespace stnas::cpu::test

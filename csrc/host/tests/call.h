// A call of the kernels on values of its own, and what every test ends with.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "host/instruction_set.h"
#include "host/tests/naive.h"

namespace stnas::cpu::test {

inline constexpr Executor kExecutor{[](index count, void (*task)(void*, index), void* context) {
  for (index i = 0; i < count; ++i) task(context, i);
}};

inline int failures = 0;

inline void expect_close(const char* what, const Values& given, const Values& expected,
                         double tolerance) {
  double error = 0, size = 1e-3 * double(expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    error += std::pow(given[i] - expected[i], 2);
    size += std::pow(expected[i], 2);
  }
  if (given.size() == expected.size() && std::sqrt(error / size) <= tolerance) return;
  std::printf("%s: relative error %g exceeds %g\n", what, std::sqrt(error / size), tolerance);
  ++failures;
}

template <class T>
std::vector<T> cast(const Values& values) {
  return {values.begin(), values.end()};
}

template <class T>
Values widen(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

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
    problem = {s, at(0), {at(1), at(2), at(3), at(4), at(5), at(6), at(7)},
               {}, activation, residual, kExecutor};
    for (int i = 0; i < 3; ++i)
      problem.norms[i] = {at(8 + 2 * i), at(9 + 2 * i), mean[i].data(), var[i].data()};
  }

  std::vector<T> empty(index count) const { return std::vector<T>(size_t(count), T(NAN)); }
};

// Runs a test and returns the exit status: 77 where this machine lacks the instruction set.
template <class Run>
int report(const Run& run) {
  try {
    std::printf("%s\n", instruction_set());
  } catch (const std::runtime_error&) {
    return 77;
  }
  run();
  std::printf("%d failures\n", failures);
  return failures != 0;
}

}  // namespace stnas::cpu::test

// Values of the kernels' tests, how they are compared, and what every test ends with.
#pragma once

#include <cmath>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <vector>

#include "host/dispatch.h"
#include "host/problem.h"

namespace stnas::cpu::test {

using Values = std::vector<double>;

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

inline Values draw(std::mt19937& generator, index count, double mean = 0, double deviation = 1) {
  std::normal_distribution<double> normal;
  Values values(static_cast<size_t>(count));
  for (double& value : values) value = mean + deviation * normal(generator);
  return values;
}

template <class T>
std::vector<T> cast(const Values& values) {
  return {values.begin(), values.end()};
}

template <class T>
Values widen(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

// Runs a test and returns the exit status: 77 where this machine lacks the instruction set.
template <class Run>
int report(const Run& run) {
  try {
    std::printf("%s\n", instruction_set().c_str());
  } catch (const std::runtime_error&) {
    return 77;
  }
  run();
  std::printf("%d failures\n", failures);
  return failures != 0;
}

}  // namespace stnas::cpu::test

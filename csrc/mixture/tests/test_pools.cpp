// The pools against their definition: outputs, and gradients by directional differences. Every
// tensor lies in memory of its exact size.
#include "host/tests/values.h"
#include "mixture/pools.h"

namespace stnas::cpu::test {
namespace {

std::mt19937 generator(1);

Values draw(size_t count) { return test::draw(generator, index(count)); }

struct Sizes {
  index images, channels, height, width, stride;

  index rows() const { return (height + stride - 1) / stride; }
  index columns() const { return (width + stride - 1) / stride; }
  size_t in() const { return size_t(images * channels * height * width); }
  size_t out() const { return size_t(images * channels * rows() * columns()); }
};

// Subtracts the mean of every channel and divides by its deviation.
void normalise(const Sizes& s, Values& values) {
  const size_t channels = size_t(s.channels), count = values.size() / channels;
  for (size_t c = 0; c < channels; ++c) {
    double mean = 0, var = 0;
    for (size_t q = 0; q < count; ++q) mean += values[q * channels + c] / double(count);
    for (size_t q = 0; q < count; ++q)
      var += std::pow(values[q * channels + c] - mean, 2) / double(count);
    for (size_t q = 0; q < count; ++q) {
      double& value = values[q * channels + c];
      value = (value - mean) / std::sqrt(var + kEpsilon);
    }
  }
}

// The maximum and the mean, one after the other.
Values naive(const Sizes& s, const Values& x) {
  Values largest(s.out()), mean(s.out());
  size_t next = 0;
  for (index n = 0; n < s.images; ++n)
    for (index y = 0; y < s.rows(); ++y)
      for (index z = 0; z < s.columns(); ++z)
        for (index c = 0; c < s.channels; ++c, ++next) {
          double most = -INFINITY, total = 0, count = 0;
          for (index i = y * s.stride - 1; i < y * s.stride + 2; ++i)
            for (index j = z * s.stride - 1; j < z * s.stride + 2; ++j) {
              if (i < 0 || i >= s.height || j < 0 || j >= s.width) continue;
              const double value = x[size_t(((n * s.height + i) * s.width + j) * s.channels + c)];
              most = std::fmax(most, value), total += value, ++count;
            }
          largest[next] = most, mean[next] = total / count;
        }
  normalise(s, largest), normalise(s, mean);
  largest.insert(largest.end(), mean.begin(), mean.end());
  return largest;
}

template <class T>
void test(const Sizes& s, double tolerance) {
  const Values drawn = draw(s.in());
  const auto x = cast<T>(drawn);
  std::vector<T> largest(s.out(), T(NAN)), mean(s.out(), T(NAN)), of_x(s.in(), T(NAN));
  std::vector<T> inverse(size_t(2 * s.channels), T(NAN));
  std::vector<uint8_t> places(s.out());
  const PoolsProblem<T> p{x.data(),
                          s.images,
                          s.height,
                          s.width,
                          s.channels,
                          s.stride,
                          {largest.data(), mean.data()},
                          places.data(),
                          inverse.data(),
                          kExecutor};
  kernels<PoolsKernels<T>>().pool(p);
  Values given = widen(largest);
  for (const T value : mean) given.push_back(double(value));
  expect_close("pools", given, naive(s, widen(x)), tolerance);
  const Values grad = draw(2 * s.out()), way = draw(s.in());
  const auto first = cast<T>(Values(grad.begin(), grad.begin() + index(s.out())));
  const auto second = cast<T>(Values(grad.begin() + index(s.out()), grad.end()));
  const T* const grads[2] = {first.data(), second.data()};
  kernels<PoolsKernels<T>>().differentiate(p, grads, of_x.data());
  double wanted = 0, found = 0;
  for (const double sign : {1.0, -1.0}) {
    Values moved = widen(x);
    for (size_t i = 0; i < moved.size(); ++i) moved[i] += sign * 1e-7 * way[i];
    const Values out = naive(s, moved);
    for (size_t i = 0; i < out.size(); ++i) wanted += sign * grad[i] * out[i] / 2e-7;
  }
  for (size_t i = 0; i < way.size(); ++i) found += double(of_x[i]) * way[i];
  expect_close("gradient of pools", {found}, {wanted}, 1e3 * tolerance);
}

}  // namespace
}  // namespace stnas::cpu::test

int main() {
  using namespace stnas::cpu::test;
  return report([] {
    for (const Sizes& s : {Sizes{2, 8, 6, 7, 1}, Sizes{3, 20, 5, 4, 2}, Sizes{2, 1, 1, 2, 1},
                           Sizes{1, 35, 9, 3, 2}, Sizes{70, 3, 2, 2, 1}}) {
      test<float>(s, 1e-5);
      test<double>(s, 1e-10);
    }
  });
}

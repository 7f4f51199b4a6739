// The block between two stages against its definition; the gradients by directional differences.
// Every tensor lies in memory of its exact size.
#include <array>

#include "host/tests/values.h"
#include "mixture/halving.h"

namespace stnas::cpu::test {
namespace {

struct Sizes {
  index images, height, width, in, out;

  index rows() const { return (height + 1) / 2; }
  index columns() const { return (width + 1) / 2; }
  index results() const { return images * rows() * columns() * out; }
};

// x, and the kernels.
using Point = std::array<Values, 4>;

std::mt19937 generator(1);

Values draw(index count) { return test::draw(generator, count, 0.2); }

Point draw_point(const Sizes& n) {
  return {draw(n.images * n.height * n.width * n.in), draw(9 * n.in * n.out),
          draw(9 * n.out * n.out), draw(n.in * n.out)};
}

// A convolution of max(x, 0), images of height x width.
Values convolve(const Values& x, const Values& kernel, const Sizes& n, index height, index width,
                index in, index stride) {
  Values z(size_t(n.results()));
  for (size_t at = 0; at < z.size(); ++at) {
    const index o = index(at) % n.out, q = index(at) / n.out, w = q % n.columns();
    const index r = q / n.columns() % n.rows(), image = q / n.columns() / n.rows();
    for (index tap = 0; tap < 9; ++tap)
      for (index i = 0; i < in; ++i) {
        const index y = r * stride + tap / 3 - 1, u = w * stride + tap % 3 - 1;
        if (y < 0 || u < 0 || y >= height || u >= width) continue;
        const double own = x[size_t(((image * height + y) * width + u) * in + i)];
        z[at] += (own > 0 ? own : 0) * kernel[size_t((o * in + i) * 9 + tap)];
      }
  }
  return z;
}

Values normalised(const Sizes& n, const Values& z) {
  const size_t row = size_t(n.out);
  const double count = double(z.size() / row);
  Values mean(row), var(row), out(z);
  for (size_t i = 0; i < z.size(); ++i) mean[i % row] += z[i] / count;
  for (size_t i = 0; i < z.size(); ++i) var[i % row] += std::pow(z[i] - mean[i % row], 2) / count;
  for (size_t i = 0; i < z.size(); ++i)
    out[i] = (z[i] - mean[i % row]) / std::sqrt(var[i % row] + kEpsilon);
  return out;
}

Values definition(const Sizes& n, const Point& at) {
  const Values middle = normalised(n, convolve(at[0], at[1], n, n.height, n.width, n.in, 2));
  Values out = normalised(n, convolve(middle, at[2], n, n.rows(), n.columns(), n.out, 1));
  for (index q = 0; q < n.results() / n.out; ++q) {
    const index w = q % n.columns(), r = q / n.columns() % n.rows();
    const index image = q / n.columns() / n.rows();
    for (index i = 0; i < n.in; ++i) {
      double sum = 0, count = 0;
      for (index y = 2 * r; y < 2 * r + 2 && y < n.height; ++y)
        for (index u = 2 * w; u < 2 * w + 2 && u < n.width; ++u, ++count)
          sum += at[0][size_t(((image * n.height + y) * n.width + u) * n.in + i)];
      for (index o = 0; o < n.out; ++o)
        out[size_t(q * n.out + o)] += sum / count * at[3][size_t(o * n.in + i)];
    }
  }
  return out;
}

Point moved(Point from, const Point& step, double by) {
  for (size_t t = 0; t < from.size(); ++t)
    for (size_t i = 0; i < from[t].size(); ++i) from[t][i] += by * step[t][i];
  return from;
}

template <class T>
double along(const std::array<std::vector<T>, 4>& gradient, const Point& step) {
  double sum = 0;
  for (size_t t = 0; t < step.size(); ++t)
    for (size_t i = 0; i < step[t].size(); ++i) sum += double(gradient[t][i]) * step[t][i];
  return sum;
}

template <class T>
void check_block(const Sizes& n, double tolerance) {
  const Point at = draw_point(n), step = draw_point(n);
  std::array<std::vector<T>, 4> given, gradient;
  for (size_t t = 0; t < given.size(); ++t) {
    given[t] = cast<T>(at[t]);
    gradient[t].assign(at[t].size(), T(NAN));
  }
  std::vector<T> z(size_t(n.results()), T(NAN)), last(z), out(z);
  std::vector<T> statistics(size_t(4 * n.out), T(NAN));
  const Halving<T> p{given[0].data(), given[1].data(), given[2].data(), given[3].data(),
                     n.images,        n.height,        n.width,         n.in,
                     n.out,           kExecutor};
  const HalvingValues<T> values{{z.data(), last.data()}, statistics.data()};
  const auto& block = kernels<HalvingKernels<T>>();
  block.halve(p, values, out.data());
  expect_close("halving block", widen(out), definition(n, at), tolerance);
  const Values of_out = draw(n.results());
  const auto grad = cast<T>(of_out);
  block.differentiate(
      p, values, grad.data(),
      {gradient[0].data(), gradient[1].data(), gradient[2].data(), gradient[3].data()});
  std::vector<T> alone(gradient[0].size(), T(NAN));
  block.differentiate(p, values, grad.data(), {alone.data(), nullptr, nullptr, nullptr});
  expect_close("gradient of x alone", widen(alone), widen(gradient[0]), 0);
  const Values high = definition(n, moved(at, step, 1e-6)),
               low = definition(n, moved(at, step, -1e-6));
  double slope = 0;
  for (size_t i = 0; i < of_out.size(); ++i) slope += of_out[i] * (high[i] - low[i]) / 2e-6;
  expect_close("gradient", {along(gradient, step)}, {slope}, 10 * tolerance);
}

void run() {
  for (const Sizes& n : {Sizes{2, 6, 8, 8, 16}, Sizes{3, 5, 7, 16, 32}, Sizes{4, 4, 3, 5, 10},
                         Sizes{6, 1, 2, 3, 4}, Sizes{2, 2, 9, 12, 8}, Sizes{5, 3, 1, 1, 33}}) {
    check_block<double>(n, 1e-5);
    check_block<float>(n, 1e-3);
  }
}

}  // namespace
}  // namespace stnas::cpu::test

int main() { return stnas::cpu::test::report(stnas::cpu::test::run); }

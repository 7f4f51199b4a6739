// The convolutions of edges against their definition; the gradients by directional differences.
// Every tensor lies in memory of its exact size.
#include "host/tests/values.h"
#include "mixture/convolution.h"

namespace stnas::cpu::test {
namespace {

struct Sizes {
  index images, height, width, channels, edges, size;

  index pixels() const { return images * height * width; }
  index out() const { return edges * channels; }
  index weights() const { return out() * channels * size * size; }
};

std::mt19937 generator(1);

Values draw(index count) { return test::draw(generator, count, 0.2); }

Values definition(const Sizes& n, const Values& x, const Values& kernel) {
  Values z(size_t(n.pixels() * n.out()));
  const index pad = n.size / 2, depth = n.channels * n.size * n.size;
  for (size_t at = 0; at < z.size(); ++at) {
    const index o = index(at) % n.out(), q = index(at) / n.out();
    const index image = q / (n.height * n.width), r = q / n.width % n.height, w = q % n.width;
    for (index k = 0; k < depth; ++k) {
      const index i = k / (n.size * n.size), y = r + k / n.size % n.size - pad;
      const index u = w + k % n.size - pad;
      if (y < 0 || u < 0 || y >= n.height || u >= n.width) continue;
      const double own = x[size_t(((image * n.height + y) * n.width + u) * n.channels + i)];
      if (own > 0) z[at] += own * kernel[size_t(o * depth + k)];
    }
  }
  return z;
}

double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Values moved(Values from, const Values& step, double by) {
  for (size_t i = 0; i < from.size(); ++i) from[i] += by * step[i];
  return from;
}

template <class T>
struct Call {
  std::vector<T> x, kernel, z, statistics;
  EdgeConvolutions<T> p;

  Call(const Sizes& n, const Values& from, const Values& weights)
      : x(cast<T>(from)),
        kernel(cast<T>(weights)),
        z(size_t(n.pixels() * n.out()), T(NAN)),
        statistics(size_t(2 * n.out()), T(NAN)),
        p{x.data(),   kernel.data(), n.images, n.height, n.width,
          n.channels, n.out(),       n.size,   kExecutor} {
    kernels<ConvolutionKernels<T>>().convolve(p, z.data(), statistics.data());
  }
};

template <class T>
void check_statistics(const Sizes& n, const Call<T>& call, double tolerance) {
  Values expected(size_t(2 * n.out()));
  const size_t row = size_t(n.out());
  for (size_t i = 0; i < call.z.size(); ++i)
    expected[i % row] += double(call.z[i]) / double(n.pixels());
  for (size_t i = 0; i < call.z.size(); ++i)
    expected[row + i % row] +=
        std::pow(double(call.z[i]) - expected[i % row], 2) / double(n.pixels());
  expect_close("statistics", widen(call.statistics), expected, tolerance);
}

// The gradient of z is scale g - offset - (z - mean) pull.
template <class T>
void check_gradient(const Sizes& n, Call<T>& call, const Values& x, const Values& kernel,
                    double tolerance) {
  const Values of_nodes = draw(n.pixels() * n.out()), terms = draw(4 * n.out());
  const auto grads = cast<T>(of_nodes), corrections = cast<T>(terms);
  std::vector<const T*> from, by;
  for (index e = 0; e < n.edges; ++e) {
    from.push_back(grads.data() + e * n.pixels() * n.channels);
    by.push_back(corrections.data() + 4 * e * n.channels);
  }
  std::vector<T> of_x(call.x.size(), T(1)), of_kernel(call.kernel.size(), T(NAN)), alone(of_x);
  const EdgeGradients<T> edges{call.z.data(), from.data(), by.data()};
  kernels<ConvolutionKernels<T>>().differentiate(call.p, edges, of_x.data(), of_kernel.data());
  kernels<ConvolutionKernels<T>>().differentiate(call.p, edges, alone.data(), nullptr);
  expect_close("gradient of x alone", widen(alone), widen(of_x), 0);
  Values of_z(call.z.size());
  for (size_t i = 0; i < of_z.size(); ++i) {
    const size_t row = size_t(n.out()), width = size_t(n.channels), c = i % width;
    const size_t e = i % row / width, q = i / row;
    const double* own = terms.data() + 4 * e * width + c;
    of_z[i] = own[width] * of_nodes[(e * size_t(n.pixels()) + q) * width + c] - own[2 * width] -
              (double(call.z[i]) - own[0]) * own[3 * width];
  }
  const Values step = draw(index(x.size())), turn = draw(index(kernel.size()));
  const auto slope = [&](const Values& high, const Values& low) {
    return (dot(of_z, high) - dot(of_z, low)) / 2e-6;
  };
  Values added = widen(of_x);
  for (double& value : added) value -= 1;
  expect_close("gradient of x", {dot(added, step)},
               {slope(definition(n, moved(x, step, 1e-6), kernel),
                      definition(n, moved(x, step, -1e-6), kernel))},
               10 * tolerance);
  expect_close("gradient of the kernel", {dot(widen(of_kernel), turn)},
               {slope(definition(n, x, moved(kernel, turn, 1e-6)),
                      definition(n, x, moved(kernel, turn, -1e-6)))},
               10 * tolerance);
}

template <class T>
void check_edges(const Sizes& n, double tolerance) {
  const Values x = draw(n.pixels() * n.channels), kernel = draw(n.weights());
  Call<T> call(n, x, kernel);
  expect_close("convolutions", widen(call.z), definition(n, x, kernel), tolerance);
  check_statistics(n, call, tolerance);
  check_gradient(n, call, x, kernel, tolerance);
}

void run() {
  for (index channels : {1, 5, 8, 12, 16})
    for (index edges : {1, 2, 3})
      for (const Sizes& n :
           {Sizes{2, 5, 7, channels, edges, 3}, Sizes{1, 9, 1, channels, edges, 1},
            Sizes{6, 1, 4, channels, edges, 3}, Sizes{1, 3, 17, channels, edges, 5},
            Sizes{1, 1, 2, channels, edges, 7}}) {
        check_edges<double>(n, 1e-6);
        check_edges<float>(n, 1e-3);
      }
}

}  // namespace
}  // namespace stnas::cpu::test

int main() { return stnas::cpu::test::report(stnas::cpu::test::run); }

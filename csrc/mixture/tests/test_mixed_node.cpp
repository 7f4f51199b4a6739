// A mixed node against its definition; the gradient by directional differences. Every tensor lies
// in memory of its exact size.
#include "host/tests/values.h"
#include "mixture/problem.h"

namespace stnas::cpu::test {
namespace {

struct Sizes {
  index images, height, width, channels, sources, each;

  index pixels() const { return images * height * width; }
  index values() const { return pixels() * channels; }
  index branches() const { return sources * each; }
};

std::mt19937 generator(1);

Values draw(index count) { return test::draw(generator, count, 0.5); }

// What a node is made of: the sources, the branches side by side in pixels of one tensor, and the
// shares: skip and pool of each source, then those of the branches.
struct Point {
  Values x, z, shares;
};

// The mean over the pixels of a window that are there, of channel c of source s.
double window_mean(const Sizes& n, const Values& x, index s, index image, index r, index w,
                   index c) {
  double sum = 0, count = 0;
  for (index i = r - 1; i <= r + 1; ++i)
    for (index k = w - 1; k <= w + 1; ++k) {
      if (i < 0 || k < 0 || i >= n.height || k >= n.width) continue;
      const index pixel = (image * n.height + i) * n.width + k;
      sum += x[size_t(s * n.values() + pixel * n.channels + c)], ++count;
    }
  return sum / count;
}

Values definition(const Sizes& n, const Point& at) {
  Values out(size_t(n.values()), 0);
  const index row = n.branches() * n.channels;
  for (index s = 0; s < n.sources; ++s)
    for (index q = 0; q < n.pixels(); ++q)
      for (index c = 0; c < n.channels; ++c) {
        const index image = q / (n.height * n.width), r = q / n.width % n.height;
        const double mean = window_mean(n, at.x, s, image, r, q % n.width, c);
        out[size_t(q * n.channels + c)] +=
            at.shares[size_t(2 * s)] * at.x[size_t(s * n.values() + q * n.channels + c)] +
            at.shares[size_t(2 * s + 1)] * mean;
      }
  for (index b = 0; b < n.branches(); ++b)
    for (index c = 0; c < n.channels; ++c) {
      const double* z = at.z.data() + b * n.channels + c;
      double mean = 0, var = 0;
      for (index q = 0; q < n.pixels(); ++q) mean += z[q * row] / double(n.pixels());
      for (index q = 0; q < n.pixels(); ++q)
        var += std::pow(z[q * row] - mean, 2) / double(n.pixels());
      for (index q = 0; q < n.pixels(); ++q)
        out[size_t(q * n.channels + c)] +=
            at.shares[size_t(2 * n.sources + b)] * (z[q * row] - mean) / std::sqrt(var + kEpsilon);
    }
  return out;
}

// Mean and biased variance of every channel of z, [2][branches channels].
Values statistics_of(const Sizes& n, const Values& z) {
  const size_t row = size_t(n.branches() * n.channels), count = size_t(n.pixels());
  Values found(2 * row);
  for (size_t i = 0; i < z.size(); ++i) found[i % row] += z[i] / double(count);
  for (size_t i = 0; i < z.size(); ++i)
    found[row + i % row] += std::pow(z[i] - found[i % row], 2) / double(count);
  return found;
}

template <class T>
struct Call {
  std::vector<T> x, z, statistics;
  std::vector<MixedSource<T>> sources;
  std::vector<MixedBranch<T>> branches;
  MixedNode<T> node;

  Call(const Sizes& n, const Point& at)
      : x(cast<T>(at.x)), z(cast<T>(at.z)), statistics(cast<T>(statistics_of(n, at.z))) {
    const index row = n.branches() * n.channels;
    for (index s = 0; s < n.sources; ++s)
      sources.push_back({x.data() + s * n.values(), T(at.shares[size_t(2 * s)]),
                         T(at.shares[size_t(2 * s + 1)])});
    for (index b = 0; b < n.branches(); ++b)
      branches.push_back({z.data() + b * n.channels, row, statistics.data() + b * n.channels,
                          statistics.data() + row + b * n.channels,
                          T(at.shares[size_t(2 * n.sources + b)])});
    node = {n.images,  n.height,        n.width,      n.channels, sources.data(),
            n.sources, branches.data(), n.branches(), kExecutor};
  }
};

template <class T>
struct Gradient {
  std::vector<T> grad, x, z, shares, corrections;

  Gradient(const Sizes& n, Call<T>& call, const Values& of_out)
      : grad(cast<T>(of_out)),
        x(call.x.size(), T(NAN)),
        z(call.z.size(), T(NAN)),
        shares(size_t(2 * n.sources + n.branches())),
        corrections(size_t(4 * n.branches() * n.channels), T(NAN)) {
    std::vector<T*> to_x;
    for (index s = 0; s < n.sources; ++s) to_x.push_back(x.data() + s * n.values());
    kernels<MixtureKernels<T>>().differentiate(
        call.node, {grad.data(), to_x.data(), false, corrections.data(), shares.data()});
    for (size_t i = 0; i < z.size(); ++i) {
      const size_t row = size_t(n.branches() * n.channels), width = size_t(n.channels);
      const size_t channel = i % row, c = channel % width;
      const T* own = corrections.data() + 4 * (channel - c) + c;
      z[i] = own[width] * grad[i / row * width + c] - own[2 * width] -
             (call.z[i] - own[0]) * own[3 * width];
    }
  }
};

// The product of a gradient with a step, whose shares have skip and pool of a source side by side.
template <class T>
double along(const Sizes& n, const Gradient<T>& gradient, const Point& step) {
  double sum = 0;
  for (size_t i = 0; i < step.x.size(); ++i) sum += double(gradient.x[i]) * step.x[i];
  for (size_t i = 0; i < step.z.size(); ++i) sum += double(gradient.z[i]) * step.z[i];
  for (size_t i = 0; i < step.shares.size(); ++i) {
    const size_t sources = size_t(n.sources);
    const size_t place = i < 2 * sources ? i / 2 + (i % 2) * sources : i;
    sum += double(gradient.shares[place]) * step.shares[i];
  }
  return sum;
}

Point moved(const Point& from, const Point& step, double by) {
  Point to = from;
  for (size_t i = 0; i < to.x.size(); ++i) to.x[i] += by * step.x[i];
  for (size_t i = 0; i < to.z.size(); ++i) to.z[i] += by * step.z[i];
  for (size_t i = 0; i < to.shares.size(); ++i) to.shares[i] += by * step.shares[i];
  return to;
}

template <class T>
void check_node(const Sizes& n, double tolerance) {
  const auto point = [&n] {
    return Point{draw(n.sources * n.values()), draw(n.branches() * n.values()),
                 draw(2 * n.sources + n.branches())};
  };
  const Point at = point(), step = point();
  Call<T> call(n, at);
  std::vector<T> out(size_t(n.values()), T(NAN));
  kernels<MixtureKernels<T>>().mix(call.node, out.data());
  expect_close("mixed node", widen(out), definition(n, at), tolerance);
  const Values of_out = draw(n.values());
  const Gradient<T> gradient(n, call, of_out);
  const Values high = definition(n, moved(at, step, 1e-5));
  const Values low = definition(n, moved(at, step, -1e-5));
  double slope = 0;
  for (size_t i = 0; i < of_out.size(); ++i) slope += of_out[i] * (high[i] - low[i]) / 2e-5;
  expect_close("gradient", {along(n, gradient, step)}, {slope}, 10 * tolerance);
}

void run() {
  for (index channels : {1, 8, 12, 16, 33})
    for (const Sizes& n : {Sizes{2, 5, 7, channels, 3, 1}, Sizes{1, 9, 4, channels, 1, 2},
                           Sizes{7, 1, 1, channels, 2, 1}, Sizes{3, 2, 17, channels, 2, 0}}) {
      check_node<double>(n, 1e-6);
      check_node<float>(n, 1e-3);
    }
}

}  // namespace
}  // namespace stnas::cpu::test

int main() { return stnas::cpu::test::report(stnas::cpu::test::run); }

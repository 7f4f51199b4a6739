// Merged kernels against their definition; the gradient by directional differences. Every tensor
// lies in memory of its exact size.
#include "host/tests/values.h"
#include "mixture/problem.h"

namespace stnas::cpu::test {
namespace {

constexpr double kTiny = 1e-6;

struct Sizes {
  index edges, channels, depth, size;
  std::vector<index> members;  // sizes of their kernels
  bool normalised;

  size_t row(size_t m) const { return size_t(depth * members[m] * members[m]); }
  size_t values() const { return size_t(edges * channels * depth * size * size); }
};

// Kernels of each edge, member by member, then the shares.
using Point = std::vector<Values>;

std::mt19937 generator(1);

Point draw(const Sizes& n) {
  std::normal_distribution<double> normal;
  Point to;
  for (index e = 0; e < n.edges; ++e)
    for (size_t m = 0; m < n.members.size(); ++m) to.emplace_back(size_t(n.channels) * n.row(m));
  to.emplace_back(size_t(n.edges) * n.members.size());
  for (Values& values : to)
    for (double& value : values) value = normal(generator);
  return to;
}

Values definition(const Sizes& n, const Point& at) {
  Values out(n.values(), 0);
  const size_t members = n.members.size(), area = size_t(n.size * n.size);
  for (size_t place = 0; place + 1 < at.size(); ++place) {
    const size_t m = place % members, k = size_t(n.members[m]), rim = (size_t(n.size) - k) / 2;
    for (size_t c = 0; c < size_t(n.channels); ++c) {
      const double* from = at[place].data() + c * n.row(m);
      double norm = 0;
      for (size_t i = 0; i < n.row(m); ++i) norm += from[i] * from[i];
      const double by = at.back()[place] / (n.normalised ? std::sqrt(norm) + kTiny : 1);
      double* to = out.data() + (place / members * size_t(n.channels) + c) * size_t(n.depth) * area;
      for (size_t i = 0; i < n.row(m); ++i)
        to[i / (k * k) * area + (i / k % k + rim) * size_t(n.size) + i % k + rim] += by * from[i];
    }
  }
  return out;
}

Point moved(Point at, const Point& step, double by) {
  for (size_t t = 0; t < at.size(); ++t)
    for (size_t i = 0; i < at[t].size(); ++i) at[t][i] += by * step[t][i];
  return at;
}

template <class T>
void check_merge(const Sizes& n, double tolerance) {
  const Point at = draw(n), step = draw(n);
  std::vector<std::vector<T>> values, gradients;
  for (const Values& one : at) values.push_back(cast<T>(one));
  std::vector<const T*> from;
  std::vector<T*> to;
  for (const auto& one : values) gradients.emplace_back(one.size(), T(NAN));
  for (size_t i = 0; i + 1 < values.size(); ++i) {
    from.push_back(values[i].data());
    to.push_back(gradients[i].data());
  }
  const MergedKernels<T> p{from.data(),
                           n.members.data(),
                           values.back().data(),
                           n.edges,
                           index(n.members.size()),
                           n.channels,
                           n.depth,
                           n.size,
                           n.normalised,
                           kExecutor};
  std::vector<T> out(n.values(), T(NAN));
  const auto& table = kernels<MixtureKernels<T>>();
  table.merge(p, out.data());
  expect_close("merged kernels", widen(out), definition(n, at), tolerance);
  table.differentiate_merge(p, out.data(), to.data(), gradients.back().data());
  const Values high = definition(n, moved(at, step, 1e-5));
  const Values low = definition(n, moved(at, step, -1e-5));
  double slope = 0, along = 0;
  for (size_t i = 0; i < out.size(); ++i) slope += double(out[i]) * (high[i] - low[i]) / 2e-5;
  for (size_t t = 0; t < at.size(); ++t)
    for (size_t i = 0; i < at[t].size(); ++i) along += double(gradients[t][i]) * step[t][i];
  expect_close("gradient", {along}, {slope}, 10 * tolerance);
}

void run() {
  for (bool normalised : {true, false})
    for (const Sizes& n :
         {Sizes{3, 4, 5, 3, {1, 3}, normalised}, Sizes{1, 1, 1, 5, {3}, normalised},
          Sizes{2, 16, 16, 5, {5, 1, 3}, normalised}, Sizes{1, 33, 7, 1, {1, 1}, normalised}}) {
      check_merge<double>(n, 1e-6);
      check_merge<float>(n, 1e-3);
    }
}

}  // namespace
}  // namespace stnas::cpu::test

int main() { return stnas::cpu::test::report(stnas::cpu::test::run); }

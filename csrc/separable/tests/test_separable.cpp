// The kernels against their definition: outputs, and gradients by directional differences. Every
// tensor lies in memory of its exact size.
#include "host/tests/values.h"
#include "separable/problem.h"

namespace stnas::cpu::test {
namespace {

std::mt19937 generator(1);

Values draw(index count, double scale, double shift = 0) {
  return test::draw(generator, count, shift, scale);
}

struct NaiveTerm {
  index kernel, stride, grid, shift, height, width;
  Values x, weight;
};

struct NaiveHalf {
  index images, in, out, height, width;
  std::vector<NaiveTerm> terms;
  Values weight, scale, norm_weight, norm_bias;  // the last two: [out], or empty

  std::vector<Values*> parameters() {
    std::vector<Values*> found{&weight, &scale, &norm_weight, &norm_bias};
    for (auto& term : terms) found.push_back(&term.x), found.push_back(&term.weight);
    return found;
  }
};

// The value of a term's channel at a pixel of the result.
double term_at(const NaiveHalf& h, const NaiveTerm& t, index n, index y, index x, index c) {
  const auto pixel = [&](index row, index column) {
    if (row < 0 || row >= t.height || column < 0 || column >= t.width) return 0.0;
    return std::fmax(t.x[size_t(((n * t.height + row) * t.width + column) * h.in + c)], 0);
  };
  if (t.kernel == 0) return pixel(y * t.stride + t.shift, x * t.stride + t.shift);
  double total = 0;
  for (index i = 0; i < t.kernel; ++i)
    for (index j = 0; j < t.kernel; ++j)
      total += t.weight[size_t((c * t.kernel + i) * t.kernel + j)] *
               pixel(y * t.stride + (i - t.kernel / 2) * t.grid,
                     x * t.stride + (j - t.kernel / 2) * t.grid);
  return total;
}

Values naive(const NaiveHalf& h) {
  const index count = h.images * h.height * h.width;
  Values out(size_t(count * h.out));
  for (index q = 0; q < count; ++q) {
    Values sums(size_t(h.in));
    const index x = q % h.width, y = q / h.width % h.height, n = q / h.width / h.height;
    for (index c = 0; c < h.in; ++c)
      for (const auto& term : h.terms) sums[size_t(c)] += term_at(h, term, n, y, x, c);
    for (index o = 0; o < h.out; ++o)
      for (index c = 0; c < h.in; ++c)
        out[size_t(q * h.out + o)] += h.weight[size_t(o * h.in + c)] * sums[size_t(c)];
  }
  for (index o = 0; o < h.out; ++o) {
    double mean = 0, var = 0;
    for (index q = 0; q < count; ++q) mean += out[size_t(q * h.out + o)] / double(count);
    for (index q = 0; q < count; ++q)
      var += std::pow(out[size_t(q * h.out + o)] - mean, 2) / double(count);
    for (index q = 0; q < count; ++q) {
      double& value = out[size_t(q * h.out + o)];
      value = (value - mean) / std::sqrt(var + kEpsilon);
      if (!h.norm_weight.empty()) value *= h.norm_weight[size_t(o)];
      if (!h.norm_bias.empty()) value += h.norm_bias[size_t(o)];
      value *= h.scale[0];
    }
  }
  return out;
}

template <class T>
struct Call {
  std::vector<std::vector<T>> values, gradients;  // as NaiveHalf::parameters
  std::vector<Term<T>> terms;
  std::vector<T> kept, moments, statistics, out;
  SeparableProblem<T> problem{};

  explicit Call(NaiveHalf h) {
    for (const Values* part : h.parameters()) {
      values.push_back(cast<T>(*part));
      gradients.emplace_back(part->size(), T(NAN));
    }
    for (size_t t = 0; t < h.terms.size(); ++t) {
      const auto& own = h.terms[t];
      terms.push_back({values[4 + 2 * t].data(), own.kernel ? values[5 + 2 * t].data() : nullptr,
                       own.kernel, own.stride, own.grid, own.shift, own.height, own.width});
    }
    problem.images = h.images, problem.in = h.in, problem.out = h.out;
    problem.height = h.height, problem.width = h.width;
    problem.terms = terms.data(), problem.count = index(terms.size());
    problem.weight = values[0].data(), problem.scale = values[1].data();
    if (!values[2].empty()) problem.norm_weight = values[2].data();
    if (!values[3].empty()) problem.norm_bias = values[3].data();
    problem.executor = kExecutor;
    kept.assign(size_t(problem.kept()), T(NAN));
    moments.assign(size_t((1 + h.in) * h.in), T(NAN));
    statistics.assign(size_t(2 * h.out), T(NAN));
    out.assign(size_t(h.images * h.height * h.width * h.out), T(NAN));
    problem.values = kept.data(), problem.moments = moments.data();
    problem.statistics = statistics.data();
    kernels<SeparableForward<T>>().train(problem, out.data());
  }

  void differentiate(const std::vector<T>& grad) {
    std::vector<T*> xs, weights;
    for (size_t t = 0; t < terms.size(); ++t) {
      xs.push_back(gradients[4 + 2 * t].data());
      weights.push_back(gradients[5 + 2 * t].data());
    }
    std::vector<T> affine(statistics.size(), T(NAN));
    kernels<SeparableBackward<T>>().differentiate(
        problem, grad.data(),
        {xs.data(), weights.data(), gradients[0].data(), gradients[1].data(), affine.data()});
    for (size_t i = 0; i < gradients[2].size(); ++i) gradients[2][i] = affine[i];
    for (size_t i = 0; i < gradients[3].size(); ++i)
      gradients[3][i] = affine[size_t(problem.out) + i];
  }
};

// <grad, (f(p + h d) - f(p - h d)) / 2h> against <gradient, d> of each parameter.
template <class T>
void test_gradients(const NaiveHalf& h, double tolerance) {
  Call<T> call(h);
  const Values grad = draw(index(call.out.size()), 1);
  call.differentiate(cast<T>(grad));
  constexpr double kStep = 1e-6;
  NaiveHalf moved = h;
  for (size_t i = 0; i < moved.parameters().size(); ++i) {
    const Values own = *moved.parameters()[i], way = draw(index(own.size()), 1);
    double wanted = 0, given = 0;
    for (const double sign : {1.0, -1.0}) {
      for (size_t k = 0; k < own.size(); ++k)
        (*moved.parameters()[i])[k] = own[k] + sign * kStep * way[k];
      const Values out = naive(moved);
      for (size_t k = 0; k < out.size(); ++k) wanted += sign * grad[k] * out[k] / (2 * kStep);
    }
    *moved.parameters()[i] = own;
    for (size_t k = 0; k < own.size(); ++k) given += double(call.gradients[i][k]) * way[k];
    if (!own.empty()) expect_close("gradient", {given}, {wanted}, tolerance);
  }
}

NaiveHalf make(index images, index in, index out, index height, index width,
               const std::vector<std::vector<index>>& kinds) {
  NaiveHalf h{images, in, out, 0, 0, {}, draw(out * in, 0.5), {0.7}, {}, {}};
  for (const auto& k : kinds) {
    h.height = (height + k[1] - 1) / k[1], h.width = (width + k[1] - 1) / k[1];
    h.terms.push_back({k[0], k[1], k[2], k[3], height, width,
                       draw(images * height * width * in, 1, 0.3), draw(k[0] * k[0] * in, 0.4)});
  }
  return h;
}

void test(const NaiveHalf& h) {
  const Values wanted = naive(h);
  expect_close("out, float", widen(Call<float>(h).out), wanted, 1e-5);
  expect_close("out, double", widen(Call<double>(h).out), wanted, 1e-12);
  test_gradients<float>(h, 2e-3);
  test_gradients<double>(h, 1e-6);
}

}  // namespace
}  // namespace stnas::cpu::test

int main() {
  using namespace stnas::cpu::test;
  return report([] {
    test(make(3, 8, 8, 6, 7, {{3, 1, 1, 0}, {5, 1, 2, 0}}));
    test(make(5, 3, 4, 5, 4, {{5, 2, 1, 0}, {3, 2, 2, 0}, {0, 2, 1, 1}}));
    test(make(2, 20, 18, 9, 11, {{3, 1, 2, 0}}));
    test(make(2, 6, 17, 3, 3, {{0, 1, 1, 0}, {5, 1, 1, 0}}));
    test(make(3, 1, 1, 1, 2, {{5, 1, 2, 0}}));
    for (auto h : {make(3, 8, 8, 6, 7, {{3, 1, 1, 0}}), make(3, 20, 18, 6, 7, {{5, 2, 2, 0}}),
                   make(3, 3, 4, 6, 7, {{3, 1, 1, 0}})}) {
      h.norm_weight = draw(h.out, 1), test(h);
      h.norm_bias = draw(h.out, 1), test(h);
    }
  });
}

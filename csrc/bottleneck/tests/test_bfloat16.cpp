// The kernels on images of bfloat16 against those in double on the same values.
#include "bottleneck/tests/call.h"
#include "bottleneck/tests/shorten.h"

namespace stnas::cpu::test {
namespace {

// Output, and the gradients of x, of the seven weights, and of the affine parameters together.
template <class S>
std::vector<Values> train(const Call<Wide<S>>& call, const std::vector<S>& x,
                          const std::vector<S>& grad) {
  using T = Wide<S>;
  Problem<T, S> p{
      call.problem.shape,    x.data(), call.problem.weights, {}, call.problem.activation,
      call.problem.residual, kExecutor};
  std::copy(call.problem.norms, call.problem.norms + 3, p.norms);
  const Shape& s = p.shape;
  const auto stored = [](index count) { return std::vector<S>(size_t(count)); };
  std::vector<S> out(grad.size()), projected(grad.size()), grad_x(x.size());
  std::vector<S> hidden = stored(s.images * s.padded() * s.out_pixels());
  const index size = expanded_size(s), affine = 4 * s.hidden + 2 * s.out;
  std::vector<S> expanded = stored(s.stores_expanded() ? size : 0);
  auto moments = call.empty(s.stores_expanded() ? 0 : size), statistics = call.empty(affine);
  auto excitation = call.empty(s.images * s.excitation());
  const Saved<T, S> saved{statistics.data(), hidden.data(),   projected.data(),
                          excitation.data(), expanded.data(), moments.data()};
  kernels<ForwardKernels<S>>().train(p, saved, {out.data()});
  std::vector<std::vector<T>> to;
  for (int i = 1; i < 8; ++i) to.push_back(call.empty(index(call.values[size_t(i)].size())));
  to.push_back(call.empty(affine));
  kernels<BackwardKernels<S>>().differentiate(
      p, saved, grad.data(),
      {grad_x.data(), to[0].data(), to[1].data(), to[2].data(), to[3].data(), to[4].data(),
       to[5].data(), to[6].data(), to[7].data()});
  std::vector<Values> results{widen(out), widen(grad_x)};
  for (const auto& part : to) results.push_back(widen(part));
  return results;
}

std::vector<BFloat16> shorten_all(Values& values) {
  std::vector<BFloat16> shorter;
  for (double& value : values) {
    shorter.push_back(shorten(value));
    value = widen(shorter.back());
  }
  return shorter;
}

// All gradients in one vector: single ones may nearly cancel.
Values join(const std::vector<Values>& results) {
  Values all;
  for (size_t i = 1; i < results.size(); ++i)
    all.insert(all.end(), results[i].begin(), results[i].end());
  return all;
}

// An output carries six roundings, a gradient eight more, each of a relative error up to 2^-9.
void check(const Shape& s) {
  Inputs in = make_inputs(s, 1);
  const bool residual = s.stride == 1 && s.in == s.out;
  std::mt19937 generator(2);
  Values grad(size_t(s.images * s.out_pixels() * s.out));
  for (double& value : grad) value = std::normal_distribution<double>()(generator);
  const auto x = shorten_all(in.x), dy = shorten_all(grad);
  const Call<double> exact(s, in, Activation::silu, residual);
  const Call<float> call(s, in, Activation::silu, residual);
  const auto expected = train<double>(exact, in.x, grad);
  const auto given = train<BFloat16>(call, x, dy);
  expect_close("output", given[0], expected[0], 6.0 / 512);
  expect_close("gradients", join(given), join(expected), 14.0 / 512);
  std::vector<BFloat16> out(dy.size());
  const Problem<float>& wide = call.problem;
  kernels<InferenceKernels<BFloat16>>().infer({s,
                                               x.data(),
                                               wide.weights,
                                               {wide.norms[0], wide.norms[1], wide.norms[2]},
                                               wide.activation,
                                               residual,
                                               kExecutor},
                                              out.data());
  expect_close("inference", widen(out), bottleneck(s, in, Activation::silu, residual, false),
               6.0 / 512);
}

void run() {
  for (index kernel : {3, 5, 7})
    for (index stride : {1, 2, 4}) {
      check({3, 5, 4, 5, 15, 5, 1, kernel, stride});
      check({2, 9, 14, 48, 48, 48, 4, kernel, stride});
      check({20, 4, 4, 3, 17, 33, 2, kernel, stride});
      check({1, 41, 42, 2, 4, 2, 1, kernel, stride});
    }
}

}  // namespace
}  // namespace stnas::cpu::test

int main() { return stnas::cpu::test::report(stnas::cpu::test::run); }

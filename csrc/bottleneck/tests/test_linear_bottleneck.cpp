// The kernels against their definition: outputs, inference, and gradients by directional
// differences.
#include "bottleneck/tests/call.h"

namespace stnas::cpu::test {
namespace {

// Output, and the gradients in the order of Inputs::parameters.
template <class T>
std::vector<Values> train(const Shape& s, const Inputs& in, Activation activation, bool residual,
                          const Values& grad) {
  Call<T> call(s, in, activation, residual);
  const index affine = 4 * s.hidden + 2 * s.out;
  auto statistics = call.empty(affine), out = call.empty(s.images * s.out_pixels() * s.out);
  auto hidden = call.empty(s.images * s.padded() * s.out_pixels()), projected = out;
  auto excitation = call.empty(s.images * s.excitation());
  auto expanded = call.empty(expanded_size(s));
  const Saved<T> saved{statistics.data(), hidden.data(),   projected.data(),
                       excitation.data(), expanded.data(), expanded.data()};
  kernels<ForwardKernels<T>>().train(call.problem, saved, {out.data()});
  std::vector<std::vector<T>> to;
  for (int i = 0; i < 8; ++i) to.push_back(call.empty(index(call.values[size_t(i)].size())));
  auto packed = call.empty(affine);
  const auto dy = cast<T>(grad);
  kernels<BackwardKernels<T>>().differentiate(
      call.problem, saved, dy.data(),
      {to[0].data(), to[1].data(), to[2].data(), to[3].data(), to[4].data(), to[5].data(),
       to[6].data(), to[7].data(), packed.data()});
  std::vector<Values> results{widen(out)};
  for (const auto& part : to) results.push_back(widen(part));
  auto start = packed.begin();
  for (index size : {s.hidden, s.hidden, s.hidden, s.hidden, s.out, s.out}) {
    results.push_back(Values(start, start + size));
    start += size;
  }
  return results;
}

double loss(const Shape& s, const Inputs& in, Activation activation, bool residual,
            const Values& grad) {
  const Values out = bottleneck(s, in, activation, residual, true);
  double total = 0;
  for (size_t i = 0; i < out.size(); ++i) total += out[i] * grad[i];
  return total;
}

// For each parameter, its gradient along a random direction against the central difference of the
// loss.
void check_gradients(const Shape& s, const Inputs& in, bool residual, const Values& grad,
                     const std::vector<Values>& results) {
  std::mt19937 generator(3);
  std::normal_distribution<double> normal;
  const double step = 1e-5;
  Values slopes, expected;
  for (size_t i = 0; i < 14; ++i) {
    Inputs up = in, down = in;
    double slope = 0;
    for (size_t k = 0; k < results[i + 1].size(); ++k) {
      const double direction = normal(generator);
      slope += direction * results[i + 1][k];
      (*up.parameters()[i])[k] += step * direction;
      (*down.parameters()[i])[k] -= step * direction;
    }
    slopes.push_back(slope);
    expected.push_back((loss(s, up, Activation::silu, residual, grad) -
                        loss(s, down, Activation::silu, residual, grad)) /
                       (2 * step));
    expect_close("gradient", {slopes.back()}, {expected.back()}, 1e-5);
  }
}

template <class T>
void check_inference(const Shape& s, const Inputs& in, Activation activation, bool residual,
                     double tolerance) {
  Call<T> call(s, in, activation, residual);
  auto out = call.empty(s.images * s.out_pixels() * s.out);
  kernels<InferenceKernels<T>>().infer(call.problem, out.data());
  expect_close("inference", widen(out), bottleneck(s, in, activation, residual, false), tolerance);
}

void check(const Shape& s, Activation activation) {
  const Inputs in = make_inputs(s, 1);
  const bool residual = s.stride == 1 && s.in == s.out;
  const Values expected = bottleneck(s, in, activation, residual, true);
  std::mt19937 generator(2);
  Values grad(expected.size());
  for (double& value : grad) value = std::normal_distribution<double>()(generator);
  const auto exact = train<double>(s, in, activation, residual, grad);
  const auto single = train<float>(s, in, activation, residual, grad);
  expect_close("forward", exact[0], expected, 1e-9);
  const int before = failures;
  for (size_t i = 0; i < exact.size(); ++i) expect_close("float", single[i], exact[i], 2e-3);
  if (failures > before)
    std::printf("  in %ld-%ld-%ld kernel %ld stride %ld size %ldx%ld\n", long(s.in), long(s.hidden),
                long(s.out), long(s.kernel), long(s.stride), long(s.height), long(s.width));
  check_inference<double>(s, in, activation, residual, 1e-9);
  check_inference<float>(s, in, activation, residual, 1e-4);
  if (activation == Activation::silu) check_gradients(s, in, residual, grad, exact);
}

void run() {
  const Activation all[] = {Activation::relu, Activation::relu6, Activation::hardswish,
                            Activation::silu};
  int turn = 0;
  for (index kernel : {3, 5, 7})
    for (index stride : {1, 2, 4}) {
      check({3, 5, 4, 5, 15, 5, 1, kernel, stride}, Activation::silu);
      check({2, 9, 14, 16, 32, 16, 4, kernel, stride}, all[turn++ % 4]);
      check({20, 4, 4, 3, 17, 33, 2, kernel, stride}, all[turn++ % 4]);
      check({1, 41, 42, 2, 4, 2, 1, kernel, stride}, all[turn++ % 4]);
    }
}

}  // namespace
}  // namespace stnas::cpu::test

int main() { return stnas::cpu::test::report(stnas::cpu::test::run); }

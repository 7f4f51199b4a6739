// BN and activation in one pass against their definition; the gradient by directional differences.
#include "host/tests/values.h"
#include "layers/problem.h"

namespace stnas::cpu::test {
namespace {

// silu(BN x) of rows.
Values definition(const Values& x, const Values& weight, const Values& bias) {
  const size_t channels = weight.size(), rows = x.size() / channels;
  Values out(x.size());
  for (size_t c = 0; c < channels; ++c) {
    double mean = 0, var = 0;
    for (size_t q = 0; q < rows; ++q) mean += x[q * channels + c] / double(rows);
    for (size_t q = 0; q < rows; ++q) var += std::pow(x[q * channels + c] - mean, 2) / double(rows);
    for (size_t q = 0; q < rows; ++q) {
      const double z =
          (x[q * channels + c] - mean) / std::sqrt(var + kEpsilon) * weight[c] + bias[c];
      out[q * channels + c] = z / (1 + std::exp(-z));
    }
  }
  return out;
}

template <class T>
void check_rows(index rows, index channels, double tolerance) {
  std::mt19937 generator(1);
  std::normal_distribution<double> normal;
  const auto draw = [&](index count) {
    Values values(static_cast<size_t>(count));
    for (double& value : values) value = 3 + normal(generator);
    return values;
  };
  const Values x = draw(rows * channels), weight = draw(channels), bias = draw(channels);
  const Values grad = draw(rows * channels), step = draw(rows * channels);
  const auto tx = cast<T>(x), tw = cast<T>(weight), tb = cast<T>(bias), tg = cast<T>(grad);
  std::vector<T> out(x.size()), dx(x.size()), statistics(size_t(2 * channels));
  std::vector<T> affine(size_t(2 * channels));
  const NormAct<T> p{tx.data(),        rows,     channels, {tw.data(), tb.data(), nullptr, nullptr},
                     Activation::silu, kExecutor};
  const auto& layers = kernels<LayerKernels<T>>();
  layers.norm_act(p, statistics.data(), out.data());
  layers.norm_act_gradient(p, statistics.data(), tg.data(), dx.data(), affine.data());
  expect_close("norm_act", widen(out), definition(x, weight, bias), tolerance);
  double slope = 0, expected = 0;
  Values up = x, down = x;
  for (size_t i = 0; i < x.size(); ++i) {
    slope += double(dx[i]) * step[i];
    up[i] += 1e-5 * step[i];
    down[i] -= 1e-5 * step[i];
  }
  const Values high = definition(up, weight, bias), low = definition(down, weight, bias);
  for (size_t i = 0; i < x.size(); ++i) expected += grad[i] * (high[i] - low[i]) / 2e-5;
  expect_close("gradient of norm_act", {slope}, {expected}, 10 * tolerance);
}

void run() {
  for (index channels : {1, 5, 8, 16, 24, 33})
    for (index rows : {2, 7, 300, 5000}) {
      check_rows<double>(rows, channels, 1e-6);
      check_rows<float>(rows, channels, 1e-3);
    }
}

}  // namespace
}  // namespace stnas::cpu::test

int main() { return stnas::cpu::test::report(stnas::cpu::test::run); }

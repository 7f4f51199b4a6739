// The dense convolution and the pool against their definitions; gradients by directional
// differences.
#include "host/tests/values.h"
#include "layers/problem.h"

namespace stnas::cpu::test {
namespace {

Values draw(index count, unsigned seed) {
  std::mt19937 generator(seed);
  return test::draw(generator, count);
}

template <class T>
Values definition(const Convolution<T>& c, const Values& x, const Values& weight) {
  Values out(static_cast<size_t>(c.images * c.out_pixels() * c.out));
  const index pad = c.kernel / 2;
  size_t at = 0;
  for (index n = 0; n < c.images; ++n)
    for (index y = 0; y < c.out_height(); ++y)
      for (index u = 0; u < c.out_width(); ++u)
        for (index o = 0; o < c.out; ++o, ++at)
          for (index tap = 0; tap < c.kernel * c.kernel; ++tap) {
            const index v = y * c.stride - pad + tap / c.kernel;
            const index w = u * c.stride - pad + tap % c.kernel;
            if (v < 0 || v >= c.height || w < 0 || w >= c.width) continue;
            for (index i = 0; i < c.in; ++i)
              out[at] += x[size_t(((n * c.height + v) * c.width + w) * c.in + i)] *
                         weight[size_t(o * c.depth() + tap * c.in + i)];
          }
  return out;
}

double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// The map is linear in x and in weight: <grad, map step> = <gradient, step>.
template <class T>
void check_convolution(Convolution<T> c, double tolerance) {
  const index inputs = c.images * c.height * c.width * c.in, weights = c.out * c.depth();
  const index outputs = c.images * c.out_pixels() * c.out;
  const Values x = draw(inputs, 1), weight = draw(weights, 2), grad = draw(outputs, 3);
  const auto tx = cast<T>(x), tw = cast<T>(weight), tg = cast<T>(grad);
  std::vector<T> out(size_t(outputs), T(NAN)), dx(x.size(), T(NAN)), dw(weight.size(), T(NAN));
  c.x = tx.data();
  c.weight = tw.data();
  const auto& layers = kernels<LayerKernels<T>>();
  layers.convolve(c, out.data());
  layers.convolve_input_gradient(c, tg.data(), dx.data());
  layers.convolve_weight_gradient(c, tg.data(), dw.data());
  expect_close("convolution", widen(out), definition(c, x, weight), tolerance);
  const Values step = draw(inputs, 4), turn = draw(weights, 5);
  expect_close("gradient of x", {dot(widen(dx), step)}, {dot(grad, definition(c, step, weight))},
               10 * tolerance);
  expect_close("gradient of weight", {dot(widen(dw), turn)}, {dot(grad, definition(c, x, turn))},
               10 * tolerance);
}

template <class T>
void check_pool(index images, index height, index width, index channels, double tolerance) {
  const index pixels = height * width;
  const Values x = draw(images * pixels * channels, 1), grad = draw(images * channels, 2);
  const auto tx = cast<T>(x), tg = cast<T>(grad);
  std::vector<T> out(grad.size(), T(NAN)), dx(x.size(), T(NAN));
  const Node<T> node{tx.data(), images, height, width, channels, kExecutor};
  const auto& layers = kernels<LayerKernels<T>>();
  layers.pool(node, out.data());
  layers.pool_gradient(node, tg.data(), dx.data());
  Values mean(grad.size()), spread(x.size());
  for (index n = 0; n < images; ++n)
    for (index q = 0; q < pixels; ++q)
      for (index c = 0; c < channels; ++c) {
        const size_t at = size_t((n * pixels + q) * channels + c), to = size_t(n * channels + c);
        mean[to] += x[at] / double(pixels);
        spread[at] = grad[to] / double(pixels);
      }
  expect_close("pool", widen(out), mean, tolerance);
  expect_close("gradient of the pool", widen(dx), spread, tolerance);
}

template <class T>
void check_all(double tolerance) {
  for (index kernel : {1, 3, 5})
    for (index stride : {1, 2, 3})
      for (index in : {1, 3, 7, 20})
        for (index out : {1, 8, 21})
          check_convolution<T>({nullptr, nullptr, 2, 9, 6, in, out, kernel, stride, kExecutor},
                               tolerance);
  check_convolution<T>({nullptr, nullptr, 1, 2, 1, 3, 5, 7, 4, kExecutor}, tolerance);
  for (index channels : {1, 8, 16, 37})
    for (index width : {1, 5}) check_pool<T>(3, 4, width, channels, tolerance);
}

void run() {
  check_all<double>(1e-9);
  check_all<float>(1e-4);
}

}  // namespace
}  // namespace stnas::cpu::test

int main() { return stnas::cpu::test::report(stnas::cpu::test::run); }

// The kernels against their definition: outputs, inference, and gradients by directional
// differences. Every tensor lies in memory of its exact size.
#include "shuffle/tests/naive.h"

namespace stnas::cpu::test {
namespace {

std::mt19937 generator(1);

Values draw(index count, double scale, double shift = 0) {
  std::normal_distribution<double> normal;
  Values values(static_cast<size_t>(count));
  for (double& value : values) value = shift + scale * normal(generator);
  return values;
}

// Layers with these kernels and numbers of channels.
std::vector<NaiveLayer> make_head(index in, index stride, index height, index width,
                                  const std::vector<index>& kernels,
                                  const std::vector<index>& channels) {
  std::vector<NaiveLayer> head;
  for (size_t i = 0; i < kernels.size(); ++i) {
    const index kernel = kernels[i], out = kernel > 1 ? in : channels[i];
    const index depth = kernel > 1 ? kernel * kernel : in;
    NaiveLayer layer{in,
                     out,
                     kernel,
                     kernel > 1 ? stride : 1,
                     height,
                     width,
                     draw(out * depth, 1 / std::sqrt(double(depth))),
                     draw(out, 0.2, 1),
                     draw(out, 0.3),
                     draw(out, 0.2),
                     Values(size_t(out), 1.3)};
    if (kernel > 1) stride = 1;
    height = layer.out_height(), width = layer.out_width(), in = out;
    head.push_back(layer);
  }
  return head;
}

// A block in T.
template <class T>
struct Call {
  std::vector<std::vector<T>> values;  // as NaiveBlock::parameters
  std::vector<std::vector<T>> mean, var, kept, statistics;
  std::vector<HeadLayer<T>> layers[2];
  ShuffleProblem<T> problem;

  explicit Call(NaiveBlock b) {
    for (const Values* part : b.parameters()) values.push_back(cast<T>(*part));
    size_t next = 1, layer = 0;
    for (const auto& head : b.heads)
      for (const NaiveLayer& l : head) {
        mean.push_back(cast<T>(l.mean));
        var.push_back(cast<T>(l.var));
        kept.emplace_back(
            size_t(b.images * l.out_height() * l.out_width() * round_up(l.out, kBlock)), T(NAN));
        statistics.emplace_back(size_t(2 * l.out), T(NAN));
      }
    for (int h = 0; h < 2; ++h)
      for (const NaiveLayer& l : b.heads[h]) {
        const Norm<T> norm{values[next + 1].data(), values[next + 2].data(), mean[layer].data(),
                           var[layer].data()};
        layers[h].push_back({values[next].data(), norm, l.in, l.out, l.kernel, l.stride, l.height,
                             l.width, kept[layer].data(), statistics[layer].data()});
        next += 3, ++layer;
      }
    problem = {values[0].data(),
               b.images,
               b.height,
               b.width,
               b.channels,
               b.out(),
               {{layers[0].data(), index(layers[0].size()), b.target()},
                {layers[1].data(), index(layers[1].size()), 0}},
               b.heads[1].empty() ? 1 : 2,
               kExecutor};
  }
};

// Output, and the gradients in the order of NaiveBlock::parameters.
template <class T>
std::vector<Values> train(const NaiveBlock& b, const Values& grad) {
  Call<T> call(b);
  std::vector<T> out(size_t(b.out_values()), T(NAN));
  kernels<ShuffleForward<T>>().train(call.problem, out.data());
  std::vector<std::vector<T>> to;
  for (const auto& part : call.values) to.emplace_back(part.size(), T(NAN));
  std::vector<std::vector<T>> affine;
  for (const auto& part : call.statistics) affine.emplace_back(part.size(), T(NAN));
  std::vector<LayerGradient<T>> gradients;
  for (size_t i = 0; i < affine.size(); ++i)
    gradients.push_back({to[1 + 3 * i].data(), affine[i].data()});
  const auto dy = cast<T>(grad);
  kernels<ShuffleBackward<T>>().differentiate(
      call.problem, dy.data(),
      {to[0].data(), {gradients.data(), gradients.data() + call.layers[0].size()}});
  for (size_t i = 0; i < affine.size(); ++i) {
    const auto middle = affine[i].begin() + long(affine[i].size() / 2);
    to[2 + 3 * i].assign(affine[i].begin(), middle);
    to[3 + 3 * i].assign(middle, affine[i].end());
  }
  std::vector<Values> results{widen(out)};
  for (const auto& part : to) results.push_back(widen(part));
  return results;
}

template <class T>
void check_inference(const NaiveBlock& b, double tolerance) {
  Call<T> call(b);
  for (auto& head : call.layers)
    for (auto& layer : head) layer.values = layer.statistics = nullptr;
  std::vector<T> out(size_t(b.out_values()), T(NAN));
  kernels<ShuffleForward<T>>().infer(call.problem, out.data());
  expect_close("inference", widen(out), shuffle_block(b, false), tolerance);
}

double loss(const NaiveBlock& b, const Values& grad) {
  const Values out = shuffle_block(b, true);
  double total = 0;
  for (size_t i = 0; i < out.size(); ++i) total += out[i] * grad[i];
  return total;
}

// Each parameter's gradient along a random direction against the central difference of the loss.
void check_gradients(const NaiveBlock& b, const Values& grad, const std::vector<Values>& results) {
  constexpr double kStep = 1e-6;
  NaiveBlock up = b, down = b;
  const auto above = up.parameters(), below = down.parameters();
  Values slopes, expected;
  for (size_t i = 0; i < above.size(); ++i) {
    const Values direction = draw(index(above[i]->size()), 1), own = *above[i];
    double slope = 0;
    for (size_t k = 0; k < own.size(); ++k) {
      slope += direction[k] * results[i + 1][k];
      (*above[i])[k] += kStep * direction[k];
      (*below[i])[k] -= kStep * direction[k];
    }
    slopes.push_back(slope);
    expected.push_back((loss(up, grad) - loss(down, grad)) / (2 * kStep));
    *above[i] = *below[i] = own;
  }
  expect_close("gradients", slopes, expected, 1e-4);
}

void check(const NaiveBlock& b) {
  const Values expected = shuffle_block(b, true), grad = draw(index(expected.size()), 1);
  const auto exact = train<double>(b, grad), single = train<float>(b, grad);
  const int before = failures;
  expect_close("forward", exact[0], expected, 1e-9);
  for (size_t i = 0; i < exact.size(); ++i) expect_close("float", single[i], exact[i], 2e-3);
  check_gradients(b, grad, exact);
  check_inference<double>(b, 1e-9);
  check_inference<float>(b, 1e-4);
  if (failures > before)
    std::printf("  in %ldx%ldx%ldx%ld, %ld layers\n", long(b.images), long(b.height), long(b.width),
                long(b.channels), long(b.heads[0].size()));
}

NaiveBlock make_block(index images, index height, index width, index channels, bool keeps,
                      std::vector<index> kernels, index mid, index end) {
  const index read = keeps ? channels / 2 : channels, stride = keeps ? 1 : 2;
  std::vector<index> middle(kernels.size(), mid);
  middle.back() = end;
  NaiveBlock b{images, height, width, channels, draw(images * height * width * channels, 1), {}};
  b.heads[0] = make_head(read, stride, height, width, kernels, middle);
  const index kernel = kernels[0] > 1 ? kernels[0] : kernels[1];
  if (!keeps) b.heads[1] = make_head(read, 2, height, width, {kernel, 1}, {channels, channels});
  return b;
}

void run() {
  for (index kernel : {3, 5, 7}) {
    check(make_block(3, 6, 7, 10, true, {1, kernel, 1}, 5, 5));
    check(make_block(20, 4, 4, 34, true, {1, kernel, 1}, 18, 17));
    check(make_block(2, 5, 8, 6, false, {1, kernel, 1}, 20, 9));
    check(make_block(1, 42, 41, 4, false, {1, kernel, 1}, 3, 4));
  }
  check(make_block(2, 7, 5, 8, true, {3, 1, 3, 1, 3, 1}, 18, 4));
  check(make_block(3, 6, 5, 5, false, {3, 1, 3, 1, 3, 1}, 4, 17));
}

}  // namespace
}  // namespace stnas::cpu::test

int main() { return stnas::cpu::test::report(stnas::cpu::test::run); }

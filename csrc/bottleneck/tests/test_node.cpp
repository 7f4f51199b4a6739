// Sums at the nodes: what a block adds to its target, and its gradient to that of its source.
#include "bottleneck/tests/call.h"

namespace stnas::cpu::test {
namespace {

// The block added to a node beside an identity, the moments of the sum in the same pass, and the
// gradient of x added to one that is there: all as when done one after the other.
template <class T>
void check_sums(const Shape& s, double tolerance) {
  const Inputs in = make_inputs(s, 1);
  Call<T> call(s, in, Activation::relu6, false);
  const index count = s.images * s.out_pixels() * s.out, affine = 4 * s.hidden + 2 * s.out;
  auto statistics = call.empty(affine), projected = call.empty(count);
  auto hidden = call.empty(s.images * s.padded() * s.out_pixels());
  auto excitation = call.empty(s.images * s.excitation());
  auto of_x = call.empty((1 + s.in) * s.in), expanded = call.empty(expanded_size(s));
  const Saved<T> saved{statistics.data(), hidden.data(),   projected.data(),
                       excitation.data(), expanded.data(), expanded.data()};
  const auto& forward = kernels<ForwardKernels<T>>();
  forward.moments({call.problem.x, s.images, s.height, s.width, s.in, kExecutor}, of_x.data());
  call.problem.moments = of_x.data();
  auto out = std::vector<T>(size_t(count), T(3)), identity = std::vector<T>(size_t(count), T(-7));
  auto gathered = call.empty((1 + s.out) * s.out), expected = gathered;
  const T* also[] = {identity.data()};
  forward.train(call.problem, saved, {out.data(), true, also, 1, T(2), gathered.data()});
  Values sum = bottleneck(s, in, Activation::relu6, false, true);
  for (double& value : sum) value = (3 + value - 7) / 2;
  expect_close("sum", widen(out), sum, tolerance);
  forward.moments({out.data(), s.images, s.out_height(), s.out_width(), s.out, kExecutor},
                  expected.data());
  if (gathered != expected) std::printf("moments of the sum differ\n"), ++failures;
  std::vector<T> plain(call.values[0].size()), added(plain.size(), T(5));
  std::vector<std::vector<T>> to;
  for (int i = 1; i < 8; ++i) to.push_back(call.empty(index(call.values[size_t(i)].size())));
  auto packed = call.empty(affine);
  const auto backward = [&](T* x, bool add) {
    kernels<BackwardKernels<T>>().differentiate(
        call.problem, saved, out.data(),
        {x, to[0].data(), to[1].data(), to[2].data(), to[3].data(), to[4].data(), to[5].data(),
         to[6].data(), packed.data(), add});
  };
  backward(plain.data(), false);
  backward(added.data(), true);
  for (T& value : plain) value += T(5);
  expect_close("added gradient", widen(added), widen(plain), tolerance);
}

void run() {
  for (const Shape& s : {Shape{3, 5, 4, 5, 15, 6, 1, 3, 2}, Shape{20, 4, 4, 16, 32, 33, 4, 5, 1},
                         Shape{1, 41, 42, 2, 4, 2, 1, 3, 1}}) {
    check_sums<double>(s, 1e-9);
    check_sums<float>(s, 1e-3);
  }
}

}  // namespace
}  // namespace stnas::cpu::test

int main() { return stnas::cpu::test::report(stnas::cpu::test::run); }

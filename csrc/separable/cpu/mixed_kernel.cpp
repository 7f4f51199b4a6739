// Depthwise kernels mixed to one, and the gradient: some hundred values, in double.
#include <cmath>
#include <tuple>

#include "host/tensors.h"

namespace stnas::cpu {
namespace {

constexpr double kTiny = 1e-6;  // added to a norm

void check_kernels(const Tensors& kernels, const Tensors& shares, const Maybe& part) {
  check(!kernels.empty() && kernels.size() == shares.size(),
        "kernels must be one or more and as many as shares, got ", kernels.size(), " and ",
        shares.size());
  const Tensor& first = kernels.front();
  check(first.is_cpu() &&
            (first.scalar_type() == ScalarType::Float || first.scalar_type() == ScalarType::Double),
        "kernels must be float32 or float64 on the CPU");
  for (const Tensor& kernel : kernels) {
    check_type(kernel, "kernels", first);
    check(kernel.dim() == 4 && kernel.size(3) % 2 == 1,
          "kernels must have shape [C, 1, K, K] with an odd K");
    check_size(kernel, "kernels", {first.size(0), 1, kernel.size(3), kernel.size(3)});
  }
  const auto check_value = [&](const Tensor& value, const char* name) {
    check_type(value, name, first);
    check(value.numel() == 1, name, " must have 1 value, got ", value.numel());
  };
  for (const Tensor& share : shares) check_value(share, "shares");
  if (part) check_value(*part, "part");
}

index largest(const Tensors& kernels) {
  index side = 1;
  for (const Tensor& kernel : kernels) side = kernel.size(3) > side ? kernel.size(3) : side;
  return side;
}

// A channel of a kernel, and where its rows lie in the largest one.
template <class T>
struct Channel {
  const T* values;
  index side, row, first;  // `row` and `first` of the largest

  Channel(const Tensor& kernel, index channel, index most)
      : values(data<T>(kernel) + channel * kernel.size(3) * kernel.size(3)),
        side(kernel.size(3)),
        row(most),
        first((most - side) / 2 * (most + 1)) {}
  // use(value, place in the largest) for every weight.
  template <class Use>
  void for_each(const Use& use) const {
    for (index y = 0; y < side; ++y)
      for (index x = 0; x < side; ++x) use(y * side + x, first + y * row + x);
  }
  double norm() const {
    double total = 0;
    for (index i = 0; i < side * side; ++i) total += double(values[i]) * double(values[i]);
    return std::sqrt(total);
  }
};

template <class T>
double value_of(const Tensor& value) {
  return double(*data<T>(value));
}

Tensor mixed_kernel(const Tensors& kernels, const Tensors& shares, const Maybe& part,
                    bool normalise) {
  check_kernels(kernels, shares, part);
  const Tensor& first = kernels.front();
  const index side = largest(kernels), channels = first.size(0), size = side * side;
  return with_wide_type(first, [&](auto zero) {
    using T = decltype(zero);
    const Tensor out = like(first, {channels, 1, side, side});
    std::vector<double> sums(static_cast<size_t>(size));
    for (index c = 0; c < channels; ++c) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (size_t i = 0; i < kernels.size(); ++i) {
        const Channel<T> own(kernels[i], c, side);
        const double by = value_of<T>(shares[i]) * (part ? value_of<T>(*part) : 1) /
                          (normalise ? own.norm() + kTiny : 1);
        own.for_each([&](index at, index to) { sums[size_t(to)] += by * double(own.values[at]); });
      }
      for (index k = 0; k < size; ++k) data<T>(out)[c * size + k] = T(sums[size_t(k)]);
    }
    return out;
  });
}

// With n = ||K||, e = 1e-6, <K, G> their product: dK = by (G / (n + e) - K <K, G> / (n (n + e)^2)).
template <class T>
double differentiate_channel(const Channel<T>& own, const T* grad, double by, bool normalise,
                             T* to) {
  double product = 0;
  own.for_each(
      [&](index at, index from) { product += double(own.values[at]) * double(grad[from]); });
  const double norm = normalise ? own.norm() : 0, scale = normalise ? 1 / (norm + kTiny) : 1;
  const double pull = norm > 0 ? product * scale * scale / norm : 0;
  own.for_each([&](index at, index from) {
    to[at] = T(by * (double(grad[from]) * scale - double(own.values[at]) * pull));
  });
  return product * scale;
}

std::tuple<Tensors, Tensor> mixed_kernel_backward(const Tensor& grad, const Tensors& kernels,
                                                  const Tensors& shares, const Maybe& part,
                                                  bool normalise) {
  check_kernels(kernels, shares, part);
  const Tensor& first = kernels.front();
  const index side = largest(kernels), channels = first.size(0);
  check_type(grad, "grad", first);
  check_size(grad, "grad", {channels, 1, side, side});
  return with_wide_type(first, [&](auto zero) -> std::tuple<Tensors, Tensor> {
    using T = decltype(zero);
    Tensors of_kernels;
    const Tensor of_shares = like(first, {index(kernels.size()) + 1});
    const double factor = part ? value_of<T>(*part) : 1;
    double total = 0;
    for (size_t i = 0; i < kernels.size(); ++i) {
      const double share = value_of<T>(shares[i]);
      of_kernels.push_back(like(first, sizes_of(kernels[i])));
      double sum = 0;
      for (index c = 0; c < channels; ++c) {
        const Channel<T> own(kernels[i], c, side);
        sum += differentiate_channel(own, data<T>(grad) + c * side * side, share * factor,
                                     normalise, data<T>(of_kernels[i]) + c * own.side * own.side);
      }
      data<T>(of_shares)[i] = T(factor * sum);
      total += share * sum;
    }
    data<T>(of_shares)[kernels.size()] = T(total);
    return {of_kernels, of_shares};
  });
}

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("mixed_kernel", TORCH_BOX(&stnas::cpu::mixed_kernel));
  ops.impl("mixed_kernel_backward", TORCH_BOX(&stnas::cpu::mixed_kernel_backward));
}

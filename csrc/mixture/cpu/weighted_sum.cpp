// Sums of images by weights, tile by tile in the L1 cache: bound by memory on every instruction
// set.
#include <tuple>

#include "host/tensors.h"

namespace stnas::cpu {
namespace {

constexpr index kTile = 2048;

struct Values {
  index count, tiles;

  // task(first value, values) for every tile.
  template <class Task>
  void for_each(const Task& task) const {
    const auto run = [&](index tile) {
      const index first = tile * kTile;
      task(first, count - first < kTile ? count - first : kTile);
    };
    kExecutor.run(
        tiles, [](void* context, index i) { (*static_cast<decltype(&run)>(context))(i); },
        const_cast<void*>(static_cast<const void*>(&run)));
  }
};

Values check_sum(const Tensors& values, const std::vector<Maybe>& weights) {
  check(!values.empty() && values.size() == weights.size(),
        "values must be one or more and as many as weights, got ", values.size(), " and ",
        weights.size());
  const Tensor& first = values.front();
  check_values(first);
  check(first.is_cpu() && first.scalar_type() != ScalarType::BFloat16,
        "values must be float32 or float64 on the CPU");
  for (const Tensor& value : values) check_target(value, "values", first, sizes_of(first));
  for (const Maybe& weight : weights) {
    if (!weight) continue;
    check_type(*weight, "weights", first);
    check(weight->numel() == 1, "weights must have 1 value each, got ", weight->numel());
  }
  return {first.numel(), (first.numel() + kTile - 1) / kTile};
}

template <class T>
T weight_of(const Maybe& weight) {
  return weight ? *data<T>(*weight) : T(1);
}

Tensor weighted_sum(const Tensors& values, const std::vector<Maybe>& weights) {
  const Values all = check_sum(values, weights);
  const Tensor& first = values.front();
  return with_wide_type(first, [&](auto zero) {
    using T = decltype(zero);
    const Tensor out = image_like(first, sizes_of(first));
    all.for_each([&](index begin, index count) {
      T* __restrict__ to = data<T>(out) + begin;
      for (size_t k = 0; k < values.size(); ++k) {
        const T* from = data<T>(values[k]) + begin;
        const T by = weight_of<T>(weights[k]);
        if (k == 0)
          for (index i = 0; i < count; ++i) to[i] = by * from[i];
        else
          for (index i = 0; i < count; ++i) to[i] += by * from[i];
      }
    });
    return out;
  });
}

// Sixteen sums side by side, so that the compiler need not keep the order of one.
template <class T>
double product(const T* a, const T* b, index count) {
  constexpr index kSums = 16;
  T sums[kSums] = {};
  index i = 0;
  for (; i + kSums <= count; i += kSums)
    for (index j = 0; j < kSums; ++j) sums[j] += a[i + j] * b[i + j];
  double total = 0;
  for (const T sum : sums) total += double(sum);
  for (; i < count; ++i) total += double(a[i]) * double(b[i]);
  return total;
}

std::tuple<Tensors, Tensor> weighted_sum_backward(const Tensor& grad, const Tensors& values,
                                                  const std::vector<Maybe>& weights,
                                                  bool wants_weights) {
  const Values all = check_sum(values, weights);
  const Tensor& first = values.front();
  check_target(grad, "grad", first, sizes_of(first));
  return with_wide_type(first, [&](auto zero) -> std::tuple<Tensors, Tensor> {
    using T = decltype(zero);
    Tensors found;
    for (const Maybe& weight : weights)
      if (weight) found.push_back(image_like(first, sizes_of(first)));
    const index count = index(weights.size());
    std::vector<double> sums(size_t(wants_weights ? count * all.tiles : 0));
    all.for_each([&](index begin, index size) {
      const T* from = data<T>(grad) + begin;
      size_t next = 0;
      for (size_t k = 0; k < weights.size(); ++k) {
        if (!weights[k]) continue;
        T* __restrict__ to = data<T>(found[next++]) + begin;
        const T by = weight_of<T>(weights[k]);
        for (index i = 0; i < size; ++i) to[i] = by * from[i];
        if (wants_weights)
          sums[size_t(begin / kTile * count) + k] = product(from, data<T>(values[k]) + begin, size);
      }
    });
    const Tensor of_weights = like(first, {wants_weights ? count : 0});
    for (index k = 0; wants_weights && k < count; ++k) {
      double total = 0;
      for (index tile = 0; tile < all.tiles; ++tile) total += sums[size_t(tile * count + k)];
      data<T>(of_weights)[k] = T(total);
    }
    return {found, of_weights};
  });
}

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("weighted_sum", TORCH_BOX(&stnas::cpu::weighted_sum));
  ops.impl("weighted_sum_backward", TORCH_BOX(&stnas::cpu::weighted_sum_backward));
}

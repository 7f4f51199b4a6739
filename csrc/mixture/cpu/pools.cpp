// The pools of a node on the CPU: check, allocate, let the kernels do the work.
#include <tuple>

#include "host/dispatch.h"
#include "host/tensors.h"
#include "mixture/pools.h"

namespace stnas::cpu {
namespace {

template <class T>
PoolsProblem<T> pools_problem(const Tensor& x, index stride) {
  check_plain(x, "x", "stnas.ops.mixture.reference.pooled_norms on others");
  check_image(x, "x", sizes_of(x));
  check(stride == 1 || stride == 2, "stride must be 1 or 2, got ", stride);
  PoolsProblem<T> p{};
  p.x = data<T>(x), p.images = x.size(0), p.channels = x.size(1);
  p.height = x.size(2), p.width = x.size(3), p.stride = stride, p.executor = kExecutor;
  check(p.images * p.pixels() > 1,
        "x must give more than 1 value per channel, got 1: use a larger batch");
  return p;
}

std::tuple<Tensor, Tensor, Tensor, Tensor> pooled_norms(const Tensor& x, index stride) {
  return with_wide_type(x, [&](auto zero) -> std::tuple<Tensor, Tensor, Tensor, Tensor> {
    using T = decltype(zero);
    auto p = pools_problem<T>(x, stride);
    const std::vector<index> sizes{p.images, p.channels, p.rows(), p.columns()};
    const Tensor largest = image_like(x, sizes), mean = image_like(x, sizes);
    const Tensor places = contiguous(x, {largest.numel()}, ScalarType::Byte);
    const Tensor inverse = like(x, {2, p.channels});
    p.out[0] = data<T>(largest), p.out[1] = data<T>(mean);
    p.places = data<uint8_t>(places), p.inverse = data<T>(inverse);
    kernels<PoolsKernels<T>>().pool(p);
    return {largest, mean, places, inverse};
  });
}

Tensor pooled_norms_backward(const Tensor& of_largest, const Tensor& of_mean, const Tensor& x,
                             const Tensor& largest, const Tensor& mean, const Tensor& places,
                             const Tensor& inverse, index stride) {
  return with_wide_type(x, [&](auto zero) {
    using T = decltype(zero);
    auto p = pools_problem<T>(x, stride);
    const std::vector<index> sizes{p.images, p.channels, p.rows(), p.columns()};
    for (const Tensor* own : {&of_largest, &of_mean, &largest, &mean})
      check_target(*own, "grad", x, sizes);
    check(places.is_cpu() && places.scalar_type() == ScalarType::Byte,
          "places must be bytes on the CPU");
    check_size(places, "places", {largest.numel()});
    check_type(inverse, "inverse", x);
    check_size(inverse, "inverse", {2, p.channels});
    p.out[0] = data<T>(largest), p.out[1] = data<T>(mean);
    p.places = data<uint8_t>(places), p.inverse = data<T>(inverse);
    const Tensor of_x = image_like(x, sizes_of(x));
    const T* const grads[2] = {data<T>(of_largest), data<T>(of_mean)};
    kernels<PoolsKernels<T>>().differentiate(p, grads, data<T>(of_x));
    return of_x;
  });
}

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("pooled_norms", TORCH_BOX(&stnas::cpu::pooled_norms));
  ops.impl("pooled_norms_backward", TORCH_BOX(&stnas::cpu::pooled_norms_backward));
}

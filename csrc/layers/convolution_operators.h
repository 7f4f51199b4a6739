// The dense convolution: check, allocate, let the kernels do the work.
#pragma once

#include <tuple>

#include "host/dispatch.h"
#include "host/tensors.h"
#include "layers/problem.h"

namespace stnas::cpu {

// x and weight [out, in, K, K] after their checks, and the sizes of the result.
template <class T>
struct Convolved {
  Convolution<T> c;

  Convolved(const Tensor& x, const Tensor& weight, index stride) {
    check_values(x);
    check(x.is_cpu(), "x must be on the CPU: call torch.nn.functional.conv2d on other devices");
    check_image(x, "x", sizes_of(x));
    check_same_type(weight, "weight", x);
    check(weight.dim() == 4, "weight must have 4 dimensions (C_out, C_in, K, K), got ",
          weight.dim());
    const index out = weight.size(0), kernel = weight.size(3);
    check(weight.size(1) == x.size(1) && weight.size(2) == kernel && kernel % 2 == 1 && out > 0,
          "weight must have shape [C_out, ", x.size(1),
          ", K, K], C_out at least 1 and K odd, got [", out, ", ", weight.size(1), ", ",
          weight.size(2), ", ", kernel, "]");
    check_image(weight, "weight", {out, x.size(1), kernel, kernel});
    check(stride >= 1, "stride must be 1 or more, got ", stride);
    c = {data<T>(x), data<T>(weight), x.size(0), x.size(2), x.size(3), x.size(1),
         out,        kernel,          stride,    kExecutor};
  }
  std::vector<index> sizes() const { return {c.images, c.out, c.out_height(), c.out_width()}; }
};

template <class Use>
auto with_convolution(const Tensor& x, const Tensor& weight, index stride, const Use& use) {
  check(x.scalar_type() != ScalarType::BFloat16,
        "x must be float32 or float64, got bfloat16: call torch.nn.functional.conv2d");
  return with_wide_type(
      x, [&](auto zero) { return use(Convolved<decltype(zero)>(x, weight, stride)); });
}

inline Tensor convolution_forward(const Tensor& x, const Tensor& weight, index stride) {
  return with_convolution(x, weight, stride, [&](const auto& given) {
    using T = std::remove_cvref_t<decltype(*given.c.x)>;
    const Tensor out = image_like(x, given.sizes());
    kernels<LayerKernels<T>>().convolve(given.c, data<T>(out));
    return out;
  });
}

// The gradient of x is empty where it is not wanted.
inline std::tuple<Tensor, Tensor> convolution_backward(const Tensor& grad, const Tensor& x,
                                                       const Tensor& weight, index stride,
                                                       bool wants_x) {
  return with_convolution(x, weight, stride, [&](const auto& given) {
    using T = std::remove_cvref_t<decltype(*given.c.x)>;
    const auto& c = given.c;
    check_target(grad, "grad", x, given.sizes());
    const Tensor of_x = wants_x ? image_like(x, {c.images, c.in, c.height, c.width}) : like(x, {0});
    const Tensor of_weight = image_like(x, {c.out, c.in, c.kernel, c.kernel});
    if (wants_x)
      kernels<LayerKernels<T>>().convolve_input_gradient(c, data<T>(grad), data<T>(of_x));
    kernels<LayerKernels<T>>().convolve_weight_gradient(c, data<T>(grad), data<T>(of_weight));
    return std::tuple{of_x, of_weight};
  });
}

}  // namespace stnas::cpu

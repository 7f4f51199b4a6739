// The mean over the pixels: check, allocate, let the kernels do the work.
#pragma once

#include "host/dispatch.h"
#include "host/tensors.h"
#include "layers/problem.h"

namespace stnas::cpu {

template <class T>
Node<T> make_node(const Tensor& x, index images, index channels, index height, index width) {
  return {data<T>(x), images, height, width, channels, kExecutor};
}

inline Tensor pool_forward(const Tensor& x) {
  check_plain(x, "x", "x.mean((2, 3))");
  check_image(x, "x", sizes_of(x));
  const Tensor out = like(x, {x.size(0), x.size(1)});
  with_wide_type(x, [&](auto zero) {
    using T = decltype(zero);
    kernels<LayerKernels<T>>().pool(make_node<T>(x, x.size(0), x.size(1), x.size(2), x.size(3)),
                                    data<T>(out));
  });
  return out;
}

inline Tensor pool_backward(const Tensor& grad, index height, index width) {
  check(grad.is_cpu() &&
            (grad.scalar_type() == ScalarType::Float || grad.scalar_type() == ScalarType::Double),
        "grad must be float32 or float64 on the CPU");
  check(grad.dim() == 2 && grad.is_contiguous(),
        "grad must be contiguous and have 2 dimensions (N, C), got ", grad.dim());
  check(height > 0 && width > 0, "height and width must be 1 or more, got ", height, " and ",
        width);
  const Tensor to = image_like(grad, {grad.size(0), grad.size(1), height, width});
  with_wide_type(grad, [&](auto zero) {
    using T = decltype(zero);
    const auto node = make_node<T>(to, grad.size(0), grad.size(1), height, width);
    kernels<LayerKernels<T>>().pool_gradient(node, data<T>(grad), data<T>(to));
  });
  return to;
}

}  // namespace stnas::cpu

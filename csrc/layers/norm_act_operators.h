// BN with batch statistics and its activation on every device: check, allocate, let the device do
// the work.
#pragma once

#include <tuple>

#include "host/tensors.h"
#include "layers/problem.h"

namespace stnas::cpu {

// x, weight and bias after their checks.
template <class T>
NormAct<T> make_norm_act(const Tensor& x, const Maybe& weight, const Maybe& bias,
                         const std::string& activation) {
  const index channels = x.size(1);
  NormAct<T> p{data<T>(x), x.numel() / channels,         channels,
               {},         parse_activation(activation), kExecutor};
  for (const auto& [given, name, to] :
       {std::tuple{&weight, "weight", &p.norm.weight}, std::tuple{&bias, "bias", &p.norm.bias}}) {
    if (!*given) continue;
    check_type(**given, name, x);
    check_size(**given, name, {channels});
    *to = data<T>(**given);
  }
  return p;
}

inline void check_rows(const Tensor& x) {
  check_values(x);
  check(x.scalar_type() != ScalarType::BFloat16,
        "x must be float32 or float64, got bfloat16: call x.float()");
  check_image(x, "x", sizes_of(x));
}

template <class Device>
std::tuple<Tensor, Tensor> norm_act_forward(const Tensor& x, const Maybe& weight, const Maybe& bias,
                                            const std::string& activation) {
  check_rows(x);
  return with_wide_type(x, [&](auto zero) {
    using T = decltype(zero);
    const auto p = make_norm_act<T>(x, weight, bias, activation);
    const Tensor out = image_like(x, sizes_of(x));
    const Tensor statistics = like(x, {2 * p.channels});
    Device(x).norm_act(p, data<T>(statistics), data<T>(out));
    return std::tuple{out, statistics};
  });
}

template <class Device>
std::tuple<Tensor, Tensor> norm_act_backward(const Tensor& grad, const Tensor& x,
                                             const Maybe& weight, const Maybe& bias,
                                             const Tensor& statistics,
                                             const std::string& activation) {
  check_rows(x);
  check_target(grad, "grad", x, sizes_of(x));
  check_type(statistics, "statistics", x);
  check_size(statistics, "statistics", {2 * x.size(1)});
  return with_wide_type(x, [&](auto zero) {
    using T = decltype(zero);
    const auto p = make_norm_act<T>(x, weight, bias, activation);
    const Tensor grad_x = image_like(x, sizes_of(x));
    const Tensor affine = like(x, {2 * p.channels});
    Device(x).norm_act_gradient(p, data<T>(statistics), data<T>(grad), data<T>(grad_x),
                                data<T>(affine));
    return std::tuple{grad_x, affine};
  });
}

// Registers both with the kernels of a Device.
template <class Device, class Library>
void implement_norm_act(Library& ops) {
  ops.impl("norm_act_forward", TORCH_BOX(&norm_act_forward<Device>));
  ops.impl("norm_act_backward", TORCH_BOX(&norm_act_backward<Device>));
}

}  // namespace stnas::cpu

// From torch's tensors to what the kernels are told.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "host/checks.h"
#include "host/team.h"

namespace stnas::cpu {

using Maybe = std::optional<Tensor>;
using Tensors = std::vector<Tensor>;

inline constexpr Executor kExecutor{[](index count, void (*task)(void*, index), void* context) {
  run_together(count, task, context, int(torch::stable::get_num_threads()));
}};

template <class T>
T* data(const Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

inline Activation parse_activation(const std::string& name) {
  constexpr const char* kNames[] = {"relu", "relu6", "hardswish", "silu"};
  for (int i = 0; i < 4; ++i)
    if (name == kNames[i]) return static_cast<Activation>(i);
  throw std::invalid_argument("activation must be relu, relu6, hardswish or silu, got " + name);
}

// A tensor, not set, where x is; past the dispatcher, which takes ten times as long.
inline Tensor empty(const Tensor& x, const std::vector<index>& sizes,
                    const std::vector<index>& strides, ScalarType type) {
  AtenTensorHandle made;
  int32_t device;
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(x.get(), &device));
  const auto code = torch::stable::detail::to<int32_t>(torch::stable::detail::from(type));
  STABLE_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(index(sizes.size()), sizes.data(),
                                                         strides.data(), code, device,
                                                         x.get_device_index(), &made));
  return Tensor(made);
}

inline Tensor contiguous(const Tensor& x, const std::vector<index>& sizes, ScalarType type) {
  std::vector<index> strides(sizes.size(), 1);
  for (size_t i = sizes.size(); i-- > 1;) strides[i - 1] = strides[i] * (sizes[i] ? sizes[i] : 1);
  return empty(x, sizes, strides, type);
}

// Of the dtype of images.
inline Tensor like(const Tensor& x, const std::vector<index>& sizes) {
  return contiguous(x, sizes, x.scalar_type());
}

// Of the dtype that images are computed in.
inline Tensor like_sums(const Tensor& x, const std::vector<index>& sizes) {
  const auto type = x.scalar_type();
  return contiguous(x, sizes, type == ScalarType::BFloat16 ? ScalarType::Float : type);
}

// NCHW sizes in channels_last order.
inline Tensor image_like(const Tensor& x, const std::vector<index>& sizes, ScalarType type) {
  const index row = sizes[3] * sizes[1];
  return empty(x, sizes, {sizes[2] * row, 1, row, sizes[1]}, type);
}
inline Tensor image_like(const Tensor& x, const std::vector<index>& sizes) {
  return image_like(x, sizes, x.scalar_type());
}

// use(T{}) for the type T of an x that is float32 or float64.
template <class Use>
auto with_wide_type(const Tensor& x, const Use& use) {
  return x.scalar_type() == ScalarType::Float ? use(float{}) : use(double{});
}

// use(S{}) for the type S that images are stored as.
template <class Use>
auto with_type(const Tensor& x, const Use& use) {
  return x.scalar_type() == ScalarType::BFloat16 ? use(BFloat16{}) : with_wide_type(x, use);
}

}  // namespace stnas::cpu

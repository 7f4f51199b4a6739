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
using Affine = std::vector<Maybe>;  // weight and bias of the three BN

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
  for (size_t i = sizes.size(); i-- > 1;)
    strides[i - 1] = strides[i] * (sizes[i] ? sizes[i] : 1);
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

// A call of the choice block, whatever its form.
struct Block {
  const Tensor& x;
  WeightTensors weights;
  const Affine& affine;
  index stride;
  const std::string& activation;
  bool residual;
  Shape shape = check_shape(x, weights, stride);

  std::vector<index> out_sizes() const {
    return {shape.images, shape.out, shape.out_height(), shape.out_width()};
  }

  template <class S>
  Problem<Wide<S>, S> problem() const;
};

template <class S>
Problem<Wide<S>, S> Block::problem() const {
  using T = Wide<S>;
  const Shape& s = shape;
  const WeightTensors& w = weights;
  check(!residual || (s.stride == 1 && s.in == s.out),
        "residual must be False unless stride is 1 and the channels are equal, got stride ",
        s.stride, " and ", s.in, " to ", s.out, " channels");
  check(affine.size() == 6, "affine must hold 6 tensors or None, got ", affine.size());
  Problem<T, S> p{s,
                  data<S>(x),
                  {data<T>(w.expand), data<T>(w.depthwise), data<T>(w.squeeze_weight),
                   data<T>(w.squeeze_bias), data<T>(w.excite_weight), data<T>(w.excite_bias),
                   data<T>(w.project)},
                  {},
                  parse_activation(activation),
                  residual,
                  kExecutor};
  for (int i = 0; i < 6; ++i) {
    if (!affine[i]) continue;
    check_type(*affine[i], "affine", x);
    check_size(*affine[i], "affine", {i < 4 ? s.hidden : s.out});
    (i % 2 ? p.norms[i / 2].bias : p.norms[i / 2].weight) = data<T>(*affine[i]);
  }
  return p;
}

// Points the norms at the running mean and variance of the three BN.
template <class T, class S>
void set_running(Problem<T, S>& p, const std::vector<Tensor>& running, const Tensor& x) {
  check(running.size() == 6, "running must hold 6 tensors, got ", running.size());
  for (int i = 0; i < 6; ++i) {
    const char* name = i % 2 ? "running_var" : "running_mean";
    check_type(running[i], name, x);
    check_size(running[i], name, {i < 4 ? p.shape.hidden : p.shape.out});
    (i % 2 ? p.norms[i / 2].var : p.norms[i / 2].mean) = data<T>(running[i]);
  }
}

}  // namespace stnas::cpu

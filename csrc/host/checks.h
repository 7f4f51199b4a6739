// Checks of the tensors that operators are given.
#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <string>
#include <vector>

#include "host/check.h"
#include "host/problem.h"

namespace stnas::cpu {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

inline std::vector<index> sizes_of(const Tensor& tensor) {
  return {tensor.sizes().begin(), tensor.sizes().end()};
}

inline void check_size(const Tensor& tensor, const char* name, std::vector<index> sizes) {
  const auto given = sizes_of(tensor);
  const auto text = [](const std::vector<index>& values) {
    std::string out = "[";
    for (size_t i = 0; i < values.size(); ++i) out += (i ? ", " : "") + std::to_string(values[i]);
    return out + "]";
  };
  check(given == sizes, name, " must have shape ", text(sizes), ", got ", text(given));
  check(tensor.is_contiguous(), name, " must be contiguous: call .contiguous() on it");
}

// Where x is, and all tensors beside it must be.
inline const char* place(const Tensor& x) {
  return x.is_cpu() ? "the CPU" : "the CUDA device of x";
}

inline bool shares_place(const Tensor& tensor, const Tensor& x) {
  return tensor.is_cpu() == x.is_cpu() && tensor.is_cuda() == x.is_cuda() &&
         (x.is_cpu() || tensor.get_device_index() == x.get_device_index());
}

// Weights, norms and sums beside a bfloat16 image are float32.
inline void check_type(const Tensor& tensor, const char* name, const Tensor& x) {
  const bool narrow = x.scalar_type() == ScalarType::BFloat16;
  check(shares_place(tensor, x) &&
            tensor.scalar_type() == (narrow ? ScalarType::Float : x.scalar_type()),
        name, " must be on ", place(x), " and have ",
        narrow ? "float32 beside a bfloat16 x" : "the dtype of x");
}

inline void check_same_type(const Tensor& tensor, const char* name, const Tensor& x) {
  check(shares_place(tensor, x) && tensor.scalar_type() == x.scalar_type(), name, " must be on ",
        place(x), " and have the dtype of x");
}

// NCHW sizes in channels_last order: strides (H W C, 1, W C, C) wherever a size is not 1.
inline void check_image(const Tensor& tensor, const char* name, std::vector<index> sizes) {
  check(tensor.dim() == 4, name, " must have 4 dimensions (N, C, H, W), got ", tensor.dim());
  const index strides[] = {sizes[1] * sizes[2] * sizes[3], 1, sizes[3] * sizes[1], sizes[1]};
  for (int i = 0; i < 4; ++i) {
    check(tensor.size(i) == sizes[i], name, " must have size ", sizes[i], " in dimension ", i,
          ", got ", tensor.size(i));
    check(sizes[i] == 1 || tensor.stride(i) == strides[i], name,
          " must be in channels_last order: call .contiguous(memory_format=torch.channels_last)");
  }
}

// An image tensor that a kernel writes to or adds.
inline void check_target(const Tensor& tensor, const char* name, const Tensor& x,
                         const std::vector<index>& sizes) {
  check_same_type(tensor, name, x);
  check_image(tensor, name, sizes);
}

inline void check_values(const Tensor& x) {
  const auto type = x.scalar_type();
  check((x.is_cpu() || x.is_cuda()) && (type == ScalarType::Float || type == ScalarType::Double ||
                                        type == ScalarType::BFloat16),
        "x must be a float32, float64 or bfloat16 tensor on the CPU or a CUDA device");
  check(x.dim() == 4, "x must have 4 dimensions (N, C, H, W), got ", x.dim());
  check(x.numel() > 0, "x must not be empty, got ", x.numel(), " elements");
}

// An image of kernels that are for float32 and float64 on the CPU; `other` is told to compute the
// rest.
inline void check_plain(const Tensor& x, const char* name, const char* other) {
  check_values(x);
  check(x.is_cpu() && x.scalar_type() != ScalarType::BFloat16, name,
        " must be float32 or float64 on the CPU: call ", other);
}

}  // namespace stnas::cpu

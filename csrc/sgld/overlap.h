// Whether two strided tensors have an element in common. No memory is read, so they may lie
// anywhere.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace stnas::sgld {

// Addresses from that of the first element to the end of the last one.
struct Span {
  uintptr_t begin, end;

  explicit Span(const torch::stable::Tensor& tensor)
      : begin(reinterpret_cast<uintptr_t>(tensor.data_ptr())), end(begin) {
    int64_t last = 0;
    for (int64_t axis = 0; axis < tensor.dim(); ++axis)
      last += (tensor.size(axis) - 1) * tensor.stride(axis);
    if (tensor.numel() > 0) end += static_cast<uintptr_t>((last + 1) * tensor.element_size());
  }
};

// use(address) for every element.
template <class Use>
void each_element(const torch::stable::Tensor& tensor, uintptr_t at, int64_t axis, const Use& use) {
  if (axis == tensor.dim()) return use(at);
  const auto step = static_cast<uintptr_t>(tensor.stride(axis) * tensor.element_size());
  for (int64_t i = 0; i < tensor.size(axis); ++i, at += step)
    each_element(tensor, at, axis + 1, use);
}

inline bool overlap(const torch::stable::Tensor& a, const torch::stable::Tensor& b) {
  const Span one(a), other(b);
  const uintptr_t begin = std::max(one.begin, other.begin), end = std::min(one.end, other.end);
  if (begin >= end) return false;
  if (a.is_contiguous() && b.is_contiguous()) return true;
  std::vector<bool> taken(end - begin);
  bool found = false;
  // Every byte of `tensor` that both spans have.
  const auto each_byte = [&](const torch::stable::Tensor& tensor, const auto& use) {
    each_element(tensor, Span(tensor).begin, 0, [&](uintptr_t at) {
      const uintptr_t after = at + static_cast<uintptr_t>(tensor.element_size());
      for (uintptr_t byte = std::max(at, begin); byte < std::min(after, end); ++byte)
        use(byte - begin);
    });
  };
  each_byte(a, [&](uintptr_t byte) { taken[byte] = true; });
  each_byte(b, [&](uintptr_t byte) { found = found || taken[byte]; });
  return found;
}

}  // namespace stnas::sgld

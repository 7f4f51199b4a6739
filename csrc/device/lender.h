// Lends an operator's tensors to its device, and makes scratch memory there.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/core/ScalarType.h>

#include <vector>

#include "device/device.h"
#include "device/workspace.h"

namespace stnas::cuda {

class Lender {
 public:
  explicit Lender(const torch::stable::Tensor& x) : x_(x), device_(x) {}

 protected:
  // Tells the device of memory that kernels may touch, and whether it holds values.
  template <class T>
  void lend(const T* memory, int64_t count, const char* name, bool written) const {
    if (memory) device_.lend(memory, count * static_cast<int64_t>(sizeof(T)), name, written);
  }

  // Scratch tensors on the device, which live as long as this does.
  Workspace workspace() const {
    const auto take = [](void* context, int64_t bytes) -> void* {
      const auto& self = *static_cast<const Lender*>(context);
      self.scratch_.push_back(torch::stable::new_empty(self.x_, {(bytes + 15) / 16 * 4},
                                                       torch::headeronly::ScalarType::Float));
      void* memory = self.scratch_.back().data_ptr();
      self.device_.lend(memory, bytes, "scratch memory", false);
      return memory;
    };
    return {take, const_cast<Lender*>(this)};
  }

  void* stream() const { return device_.stream(); }
  const torch::stable::Tensor& like() const { return x_; }

 private:
  torch::stable::Tensor x_;
  Device device_;
  mutable std::vector<torch::stable::Tensor> scratch_;
};

}  // namespace stnas::cuda

// The device that an operator's tensors lie on: a GPU, or in the tests the emulator, whose
// operators are those of another library.
#pragma once

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>

#ifdef STNAS_EMULATED

#include "cusim/machine.h"

#define STNAS_DEVICE_LIBRARY stnas_sim
#define STNAS_DEVICE_KEY CPU

namespace stnas::cuda {

class Device {
 public:
  static constexpr const char* name = "the CPU";
  static bool holds(const torch::stable::Tensor& tensor) { return tensor.is_cpu(); }

  explicit Device(const torch::stable::Tensor&) {}
  ~Device() { cusim::forget(); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  void* stream() const { return nullptr; }
  // Memory that kernels may touch, and whether it holds values.
  void lend(const void* memory, int64_t bytes, const char* what, bool written) const {
    cusim::track(memory, static_cast<size_t>(bytes), what, written);
  }
};

}  // namespace stnas::cuda

#else

#define STNAS_DEVICE_LIBRARY stnas
#define STNAS_DEVICE_KEY CUDA

namespace stnas::cuda {

// Makes the tensor's GPU the current one for as long as it lives.
class Device {
 public:
  static constexpr const char* name = "one CUDA device";
  static bool holds(const torch::stable::Tensor& tensor) { return tensor.is_cuda(); }

  explicit Device(const torch::stable::Tensor& tensor)
      : index_(tensor.get_device_index()), guard_(index_) {}

  void* stream() const {
    return torch::stable::accelerator::getCurrentStream(index_).nativeHandle();
  }
  void lend(const void*, int64_t, const char*, bool) const {}

 private:
  torch::stable::accelerator::DeviceIndex index_;
  torch::stable::accelerator::DeviceGuard guard_;
};

}  // namespace stnas::cuda

#endif

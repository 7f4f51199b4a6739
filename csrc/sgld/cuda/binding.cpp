// The SGLD step on a device: check and gather as on the CPU, then launch.
#include <torch/headeronly/core/ScalarType.h>

#include "device/device.h"
#include "sgld/arguments.h"
#include "sgld/cuda/launchers.h"

namespace stnas::cuda {
namespace {

using sgld::Target;
using sgld::Tensors;
using torch::stable::Tensor;

const sgld::Place kPlace{[](const Tensor& tensor, const Tensor& first) {
                           return Device::holds(tensor) &&
                                  tensor.get_device_index() == first.get_device_index();
                         },
                         Device::name};

template <class T>
void lend(const Device& device, const std::vector<Target<T>>& targets) {
  for (const auto& target : targets) {
    const auto bytes = target.elements * static_cast<int64_t>(sizeof(T));
    device.lend(target.param, bytes, "params", true);
    device.lend(target.grad, bytes, "grads", true);
  }
}

template <class T>
void run(const Device& device, const Tensor& like, const std::vector<Target<T>>& targets,
         const sgld::Rule& rule, bool relative) {
  if (targets.empty()) return;
  lend(device, targets);
  if (!relative) return sgld_step(targets, rule, nullptr, device.stream());
  const Tensor scratch =
      torch::stable::new_empty(like, {count_scratch(targets)}, sgld::ScalarType::Double);
  auto* numbers = static_cast<double*>(scratch.data_ptr());
  device.lend(numbers, scratch.numel() * 8, "scratch", false);
  sgld_step(targets, rule, numbers, device.stream());
}

void sgld_step_(const Tensors& params, const Tensors& grads, const std::vector<int64_t>& ids,
                double lr, double weight_decay, double noise, bool relative, int64_t seed,
                int64_t step_number) {
  if (params.empty()) return;
  auto work = sgld::gather(params, grads, ids, noise, kPlace);
  const Device device(params[0]);
  const sgld::Rule rule{lr, weight_decay, static_cast<uint64_t>(seed),
                        static_cast<uint64_t>(step_number)};
  run(device, params[0], work.floats, rule, relative && noise != 0);
  run(device, params[0], work.doubles, rule, relative && noise != 0);
  work.give_back();
}

}  // namespace
}  // namespace stnas::cuda

STABLE_TORCH_LIBRARY_IMPL(STNAS_DEVICE_LIBRARY, STNAS_DEVICE_KEY, ops) {
  ops.impl("sgld_step_", TORCH_BOX(&stnas::cuda::sgld_step_));
}

// Counting on a device. What is wrong with the arguments is said by the CPU form.
#include <stdexcept>

#include "counting/arguments.h"
#include "counting/cuda/launchers.h"
#include "device/device.h"

namespace stnas::cuda {
namespace {

using counting::ScalarType;
using torch::stable::Tensor;

constexpr int64_t kNone = int64_t{1} << 62;  // a double holds it exactly

Tensor to_cpu(const Tensor& tensor) {
  return torch::stable::to(tensor, torch::stable::Device(torch::headeronly::DeviceType::CPU));
}

// Waits for the device: a gene outside the table is an error of this call.
Tensor count_madds_device(const Tensor& genotypes, const Tensor& table, int64_t threads) {
  const bool here = Device::holds(genotypes),
             both = here && Device::holds(table) &&
                    genotypes.get_device_index() == table.get_device_index();
  counting::check_matrix(genotypes, "genotypes", ScalarType::Char, "int8", here, Device::name);
  counting::check_matrix(table, "table", ScalarType::Long, "int64", both, Device::name);
  const Device device(genotypes);
  const Tensor rows = torch::stable::contiguous(genotypes);
  const Tensor costs = torch::stable::contiguous(table);
  check_counting(rows.size(1), counting::view<int64_t>(to_cpu(costs)), threads);
  const Tensor counts = torch::stable::new_empty(costs, {rows.size(0)});
  Tensor bad = torch::stable::new_empty(costs, {1});
  torch::stable::fill_(bad, static_cast<double>(kNone));
  const Counting work{static_cast<const int8_t*>(rows.data_ptr()),
                      static_cast<const int64_t*>(costs.data_ptr()),
                      static_cast<int64_t*>(counts.data_ptr()),
                      static_cast<int64_t*>(bad.data_ptr()),
                      rows.size(0),
                      rows.size(1),
                      costs.size(1)};
  device.lend(work.genotypes, rows.numel(), "genotypes", true);
  device.lend(work.table, costs.numel() * 8, "table", true);
  device.lend(work.counts, counts.numel() * 8, "counts", false);
  device.lend(work.bad, 8, "bad", true);
  count_madds(work, device.stream());
  const Tensor found = to_cpu(bad);
  if (*static_cast<const int64_t*>(found.data_ptr()) != kNone) {
    counting::count_madds_cpu(to_cpu(rows), to_cpu(costs), threads);  // names the gene
    throw std::runtime_error("count_madds_kernel: refused a gene that the CPU form takes");
  }
  return counts;
}

}  // namespace
}  // namespace stnas::cuda

STABLE_TORCH_LIBRARY_IMPL(STNAS_DEVICE_LIBRARY, STNAS_DEVICE_KEY, ops) {
  ops.impl("count_madds", TORCH_BOX(&stnas::cuda::count_madds_device));
}

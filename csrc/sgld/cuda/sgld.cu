// Launches of the SGLD step. Compiled without fused multiply-adds: the CPU form has none.
#include "sgld/cuda/sgld.cuh"

#include "sgld/cuda/launchers.h"

namespace stnas::cuda {
namespace {

int64_t count_parts(int64_t elements) { return (elements + kPart - 1) / kPart; }

// Hands on tables of up to kTensors targets, the empty ones left out, with their number of parts.
template <class T, class Use>
void each_table(const std::vector<sgld::Target<T>>& targets, const Use& use) {
  Table<T> table{};
  int64_t parts = 0;
  const auto flush = [&] {
    if (table.count > 0) use(table, static_cast<uint32_t>(parts));
    table.count = 0;
    parts = 0;
  };
  for (const auto& target : targets) {
    if (target.elements == 0) continue;
    if (table.count == kTensors) flush();
    table.entries[table.count++] = {target.param, target.grad, target.elements,
                                    target.noise, target.id,   static_cast<uint32_t>(parts)};
    parts += count_parts(target.elements);
  }
  flush();
}

template <class T>
void find_rms(const Table<T>& table, uint32_t parts, double* scratch, Stream stream) {
  double* sums = scratch + kTensors;
  constexpr uint32_t kShare = kThreads / 8;
  launch("sum_squares_kernel", &sum_squares_kernel<T>, dim3((parts + kShare - 1) / kShare),
         dim3(kThreads), 0, stream, table, parts, sums);
  launch("root_mean_square_kernel", &root_mean_square_kernel<T>, dim3(table.count), dim3(32), 0,
         stream, table, sums, scratch);
}

}  // namespace

template <class T>
int64_t count_scratch(const std::vector<sgld::Target<T>>& targets) {
  int64_t parts = 0;
  for (const auto& target : targets) parts += count_parts(target.elements);
  return kTensors + parts;
}

template <class T>
void sgld_step(const std::vector<sgld::Target<T>>& targets, const sgld::Rule& rule, double* scratch,
               void* stream) {
  if (targets.empty()) return;
  const auto on = static_cast<Stream>(stream);
  const auto kernel =
      targets[0].noise != 0 ? &sgld_step_kernel<T, true> : &sgld_step_kernel<T, false>;
  each_table(targets, [&](const Table<T>& table, uint32_t parts) {
    if (scratch) find_rms(table, parts, scratch, on);
    launch("sgld_step_kernel", kernel, dim3(parts), dim3(kThreads), 0, on, table, rule, scratch);
  });
}

template void sgld_step(const std::vector<sgld::Target<float>>&, const sgld::Rule&, double*, void*);
template void sgld_step(const std::vector<sgld::Target<double>>&, const sgld::Rule&, double*,
                        void*);
template int64_t count_scratch(const std::vector<sgld::Target<float>>&);
template int64_t count_scratch(const std::vector<sgld::Target<double>>&);

}  // namespace stnas::cuda

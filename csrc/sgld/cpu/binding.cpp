// The step on the CPU: check, bring into order, call the kernels.
#include <torch/csrc/stable/library.h>

#include <algorithm>

#include "host/dispatch.h"
#include "sgld/arguments.h"

namespace stnas::sgld {
namespace {

const Kernels& kernels() { return cpu::kernels<Kernels>(); }

constexpr Executor kExecutor{
    [](int64_t count, int64_t grain, void (*task)(void*, int64_t, int64_t), void* context) {
      torch::stable::parallel_for(0, count, grain,
                                  [&](int64_t begin, int64_t end) { task(context, begin, end); });
    }};

const Place kHere{[](const Tensor& tensor, const Tensor&) { return tensor.is_cpu(); }, "the CPU"};

template <class T>
void scale_noise(std::vector<Target<T>>& targets) {
  for (auto& target : targets) target.noise *= root_mean_square(target.param, target.elements);
}

void sgld_step_(const Tensors& params, const Tensors& grads, const std::vector<int64_t>& ids,
                double lr, double weight_decay, double noise, bool relative, int64_t seed,
                int64_t step_number) {
  Step work = gather(params, grads, ids, noise, kHere);
  if (relative && noise != 0) {
    scale_noise(work.floats);
    scale_noise(work.doubles);
  }
  const Rule rule{lr, weight_decay, static_cast<uint64_t>(seed),
                  static_cast<uint64_t>(step_number)};
  step(work.floats, rule, kernels(), kExecutor);
  step(work.doubles, rule, kernels(), kExecutor);
  work.give_back();
}

void check_plain(const Tensor& out, ScalarType type, const char* wanted) {
  check(out.is_cpu() && out.scalar_type() == type && out.is_contiguous() && out.numel() <= kLargest,
        "out must be a contiguous tensor of ", wanted, " on the CPU");
}

Stream stream(int64_t seed, int64_t step_number, int64_t id) {
  return {static_cast<uint64_t>(seed), static_cast<uint64_t>(step_number),
          static_cast<uint32_t>(id)};
}

void standard_normal_(const Tensor& out, int64_t seed, int64_t step_number, int64_t id) {
  check_plain(out, ScalarType::Float, "float32");
  const auto from = stream(seed, step_number, id);
  auto* to = static_cast<float*>(out.data_ptr());
  torch::stable::parallel_for(0, count_groups(out.numel()), 256, [&](int64_t begin, int64_t end) {
    const int64_t count = std::min(end * kGroup, out.numel()) - begin * kGroup;
    kernels().normal(from, begin, count, to + begin * kGroup);
  });
}

void random_words_(const Tensor& out, int64_t seed, int64_t step_number, int64_t id,
                   int64_t block) {
  check_plain(out, ScalarType::Int, "int32");
  kernels().words(stream(seed, step_number, id), static_cast<uint32_t>(block), out.numel(),
                  static_cast<uint32_t*>(out.data_ptr()));
}

}  // namespace
}  // namespace stnas::sgld

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("sgld_step_", TORCH_BOX(&stnas::sgld::sgld_step_));
  ops.impl("standard_normal_", TORCH_BOX(&stnas::sgld::standard_normal_));
  ops.impl("random_words_", TORCH_BOX(&stnas::sgld::random_words_));
}

// The step on the CPU: check, bring into order, call the kernels.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "../cpu/check.h"
#include "step.h"

namespace stnas::sgld {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Tensors = std::vector<Tensor>;

constexpr Executor kExecutor{[](int64_t count, int64_t grain, void (*task)(void*, int64_t, int64_t),
                                void* context) {
  torch::stable::parallel_for(
      0, count, grain, [&](int64_t begin, int64_t end) { task(context, begin, end); });
}};

bool same(torch::headeronly::IntHeaderOnlyArrayRef a, torch::headeronly::IntHeaderOnlyArrayRef b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

// How the elements lie: `apart` if no two share an address, `dense` if they fill their stretch too.
struct Layout {
  bool apart = true, dense = true;
};

Layout inspect(const Tensor& tensor) {
  std::vector<std::pair<int64_t, int64_t>> axes;  // stride, size
  for (int64_t axis = 0; axis < tensor.dim(); ++axis) {
    if (tensor.size(axis) > 1) axes.emplace_back(tensor.stride(axis), tensor.size(axis));
  }
  std::sort(axes.begin(), axes.end());
  Layout layout;
  int64_t extent = 1;
  for (const auto& [stride, size] : axes) {
    layout.apart = layout.apart && stride >= extent;
    layout.dense = layout.dense && stride == extent;
    extent = stride * size;
  }
  return layout;
}

void check_tensor(const Tensor& tensor, const char* name, size_t at, const Tensor& param) {
  check(tensor.is_cpu() && tensor.scalar_type() == param.scalar_type(), name, "[", at,
        "] must be on the CPU and have the dtype of params[", at, "]: convert it");
  check(same(tensor.sizes(), param.sizes()), name, "[", at, "] must have the shape of params[", at,
        "]: pass the tensors in one order");
}

void check_written(const Tensor& tensor, const char* name, size_t at) {
  check(tensor.is_contiguous() || inspect(tensor).apart, name, "[", at,
        "] must have one address per element, but its elements overlap: pass a clone");
}


struct Step {
  std::vector<Target<float>> floats;
  std::vector<Target<double>> doubles;
  Tensors kept;                                     // contiguous copies
  std::vector<std::pair<Tensor, Tensor>> returned;  // (to, from) once the step is done

  // Returns the tensor itself, or a contiguous copy that is written back if the step changes it.
  Tensor bring(const Tensor& tensor, bool in_place, bool changes) {
    if (in_place || tensor.is_contiguous()) return tensor;
    kept.push_back(torch::stable::contiguous(tensor));
    if (changes) returned.emplace_back(tensor, kept.back());
    return kept.back();
  }

  template <class T>
  void add(std::vector<Target<T>>& to, const Tensor& param, const Tensor& grad, const Tensor* mean,
           uint32_t id, double noise, bool relative) {
    const bool in_place = noise == 0 && same(param.strides(), grad.strides()) &&
                          (!mean || same(param.strides(), mean->strides())) && inspect(param).dense;
    const Tensor w = bring(param, in_place, true), g = bring(grad, in_place, false);
    auto* values = static_cast<T*>(w.data_ptr());
    auto* means = mean ? static_cast<T*>(bring(*mean, in_place, true).data_ptr()) : nullptr;
    if (relative && noise != 0) noise *= root_mean_square(values, w.numel());
    to.push_back({values, static_cast<const T*>(g.data_ptr()), means, w.numel(), id, noise});
  }
};

void check_distinct(const Tensors& params, const Tensors& mean) {
  std::vector<const void*> addresses;
  for (const auto* list : {&params, &mean}) {
    for (const auto& tensor : *list) {
      if (tensor.numel() > 0) addresses.push_back(tensor.data_ptr());
    }
  }
  std::sort(addresses.begin(), addresses.end());
  check(std::adjacent_find(addresses.begin(), addresses.end()) == addresses.end(),
        "params and mean must not share memory, but two of them begin at one address: pass each "
        "tensor once");
}

void sgld_step_(const Tensors& params, const Tensors& grads, const Tensors& mean,
                const std::vector<int64_t>& ids, double lr, double weight_decay, double noise,
                bool relative, int64_t seed, int64_t step_number, double mean_count) {
  check(params.size() == grads.size() && params.size() == ids.size() &&
            (mean.empty() || mean.size() == params.size()),
        "params, grads, ids and mean must have one length, got ", params.size(), ", ",
        grads.size(), ", ", ids.size(), " and ", mean.size());
  check_distinct(params, mean);
  Step work;
  for (size_t i = 0; i < params.size(); ++i) {
    const auto& param = params[i];
    const auto* average = mean.empty() ? nullptr : &mean[i];
    const bool is_float = param.scalar_type() == ScalarType::Float;
    check(is_float || param.scalar_type() == ScalarType::Double, "params[", i,
          "] must be float32 or float64: convert it");
    check(param.numel() <= kLargest, "params[", i, "] must have at most ", kLargest, " elements");
    check_tensor(param, "params", i, param);
    check_tensor(grads[i], "grads", i, param);
    check_written(param, "params", i);
    if (average) {
      check_tensor(*average, "mean", i, param);
      check_written(*average, "mean", i);
    }
    const auto id = static_cast<uint32_t>(ids[i]);
    is_float ? work.add(work.floats, param, grads[i], average, id, noise, relative)
             : work.add(work.doubles, param, grads[i], average, id, noise, relative);
  }
  const Rule rule{lr, weight_decay, mean_count, static_cast<uint64_t>(seed),
                  static_cast<uint64_t>(step_number)};
  step(work.floats, rule, kernels(), kExecutor);
  step(work.doubles, rule, kernels(), kExecutor);
  for (auto& [to, from] : work.returned) torch::stable::copy_(to, from);
}

void check_plain(const Tensor& out, ScalarType type, const char* wanted) {
  check(out.is_cpu() && out.scalar_type() == type && out.is_contiguous() &&
            out.numel() <= kLargest,
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

// What the step's operator checks and gathers on every device.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "host/check.h"
#include "sgld/overlap.h"
#include "sgld/step.h"

namespace stnas::sgld {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using Tensors = std::vector<Tensor>;

// Where the tensors must be: the question, and the answer in words.
struct Place {
  bool (*holds)(const Tensor& tensor, const Tensor& first);
  const char* name;
};

inline bool same(torch::headeronly::IntHeaderOnlyArrayRef a,
                 torch::headeronly::IntHeaderOnlyArrayRef b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

// How the elements lie: `apart` if no two share an address, `dense` if they fill their stretch too.
struct Layout {
  bool apart = true, dense = true;
};

inline Layout inspect(const Tensor& tensor) {
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

inline void check_tensor(const Tensor& tensor, const char* name, size_t at, const Tensor& param,
                         ScalarType type, const Place& place) {
  check(place.holds(tensor, param) && tensor.scalar_type() == type, name, "[", at, "] must be on ",
        place.name, " and have the dtype of params[", at, "]: convert it");
  check(same(tensor.sizes(), param.sizes()), name, "[", at, "] must have the shape of params[", at,
        "]: pass the tensors in one order");
}

inline void check_written(const Tensor& tensor, const char* name, size_t at) {
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
  void add(std::vector<Target<T>>& to, const Tensor& param, const Tensor& grad, uint32_t id,
           double noise) {
    const bool in_place =
        noise == 0 && same(param.strides(), grad.strides()) && inspect(param).dense;
    const Tensor w = bring(param, in_place, true), g = bring(grad, in_place, false);
    to.push_back(
        {static_cast<T*>(w.data_ptr()), static_cast<const T*>(g.data_ptr()), w.numel(), id, noise});
  }

  // Writes the copies back to the tensors that they stand for.
  void give_back() {
    for (auto& [to, from] : returned) torch::stable::copy_(to, from);
  }
};

// A step reads what it has not written: no parameter may have elements of another tensor. A
// gradient may be its own parameter.
inline void check_distinct(const Tensors& params, const Tensors& grads) {
  struct Part {
    Span span;
    size_t at;
    const Tensor* tensor;
    bool written;
  };
  std::vector<Part> parts;
  parts.reserve(params.size() + grads.size());
  for (size_t i = 0; i < params.size(); ++i) {
    parts.push_back({Span(params[i]), i, &params[i], true});
    parts.push_back({Span(grads[i]), i, &grads[i], false});
  }
  std::sort(parts.begin(), parts.end(),
            [](const Part& a, const Part& b) { return a.span.begin < b.span.begin; });
  for (auto one = parts.begin(); one != parts.end(); ++one) {
    for (auto other = one + 1; other != parts.end() && other->span.begin < one->span.end; ++other) {
      if (!one->written && !other->written) continue;
      if (one->at == other->at && one->span.begin == other->span.begin &&
          same(one->tensor->strides(), other->tensor->strides()))
        continue;
      const auto name = [](const Part& part) { return part.written ? "params[" : "grads["; };
      check(!overlap(*one->tensor, *other->tensor), name(*one), one->at, "] and ", name(*other),
            other->at, "] must not share memory: pass each tensor once, or a clone");
    }
  }
}

// Checks the lists and brings their tensors into order; the noise is that of all of them.
inline Step gather(const Tensors& params, const Tensors& grads, const std::vector<int64_t>& ids,
                   double noise, const Place& place) {
  check(params.size() == grads.size() && params.size() == ids.size(),
        "params, grads and ids must have one length, got ", params.size(), ", ", grads.size(),
        " and ", ids.size());
  Step work;
  work.floats.reserve(params.size());
  for (size_t i = 0; i < params.size(); ++i) {
    const auto& param = params[i];
    const ScalarType type = param.scalar_type();
    const bool is_float = type == ScalarType::Float;
    check(is_float || type == ScalarType::Double, "params[", i,
          "] must be float32 or float64: convert it");
    check(param.numel() <= kLargest, "params[", i, "] must have at most ", kLargest, " elements");
    check(place.holds(param, params[0]), "params[", i, "] must be on ", place.name, ": move it");
    check_tensor(grads[i], "grads", i, param, type, place);
    check_written(param, "params", i);
  }
  check_distinct(params, grads);
  for (size_t i = 0; i < params.size(); ++i) {
    const auto id = static_cast<uint32_t>(ids[i]);
    params[i].scalar_type() == ScalarType::Float
        ? work.add(work.floats, params[i], grads[i], id, noise)
        : work.add(work.doubles, params[i], grads[i], id, noise);
  }
  return work;
}

}  // namespace stnas::sgld

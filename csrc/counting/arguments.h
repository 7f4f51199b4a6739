// What the counting operator checks on every device, and how the CPU counts.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include "counting/counting.h"
#include "host/check.h"

namespace stnas::counting {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

inline void check_matrix(const Tensor& tensor, const char* name, ScalarType type,
                         const char* wanted, bool here, const char* place) {
  check(here && tensor.scalar_type() == type, "count_madds: ", name, " must be a tensor of ",
        wanted, " on ", place, ": convert it if no value changes by it");
  check(tensor.dim() == 2, "count_madds: ", name, " must have 2 axes, got ", tensor.dim(),
        ": reshape it");
}

// A contiguous tensor on the CPU as the core sees it.
template <class T>
Matrix<T> view(const Tensor& tensor) {
  return {static_cast<const T*>(tensor.data_ptr()), tensor.size(0), tensor.size(1)};
}

// Counts on the CPU; the core does the work, and makes the other checks.
inline Tensor count_madds_cpu(const Tensor& genotypes, const Tensor& table, int64_t threads) {
  check_matrix(genotypes, "genotypes", ScalarType::Char, "int8", genotypes.is_cpu(), "the CPU");
  check_matrix(table, "table", ScalarType::Long, "int64", table.is_cpu(), "the CPU");
  const Tensor rows = torch::stable::contiguous(genotypes);
  const Tensor costs = torch::stable::contiguous(table);
  Tensor counts = torch::stable::new_empty(costs, {rows.size(0)});
  count_madds(view<int8_t>(rows), view<int64_t>(costs),
              {static_cast<int64_t*>(counts.data_ptr()), static_cast<size_t>(counts.numel())},
              threads);
  return counts;
}

}  // namespace stnas::counting

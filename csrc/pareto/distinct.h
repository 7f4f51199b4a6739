#pragma once

#include <cstdint>
#include <vector>

#include "host/matrix.h"

namespace stnas {

// The distinct rows of a matrix without NaN, in lexicographic order (0.0 equals -0.0).
struct DistinctRows {
  explicit DistinctRows(Matrix<double> matrix);

  Matrix<double> view() const {
    return {values.data(), static_cast<std::int64_t>(first.size()), columns};
  }

  std::int64_t columns;
  std::vector<double> values;          // the distinct rows, one after the other
  std::vector<std::int64_t> first;     // first[d]: the first row of the matrix equal to d
  std::vector<std::int64_t> distinct;  // distinct[r]: the distinct row equal to row r
};

}  // namespace stnas

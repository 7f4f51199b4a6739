#pragma once

#include <cstdint>
#include <vector>

#include "host/matrix.h"

namespace stnas {

// A value as a whole number that compares like it (0.0 equals -0.0), and the row it stands in.
struct Key {
  std::uint64_t value;
  std::int64_t row;
};

// The keys of a column without NaN in rising order, equal ones in the order of their rows: radix
// sort by bytes, O(n).
std::vector<Key> sort_column(Matrix<double> matrix, std::int64_t column);

}  // namespace stnas

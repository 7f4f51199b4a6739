#include "pareto/distinct.h"

#include <algorithm>

#include "pareto/order.h"

namespace stnas {
namespace {

// Rows in lexicographic order, equal ones in their own: sorted by the first column, and every run
// of equal heads by the others.
std::vector<Key> sort_rows(Matrix<double> matrix) {
  auto keys = sort_column(matrix, 0);
  const auto before = [matrix](const Key& left, const Key& right) {
    const double* a = matrix.row(left.row);
    const double* b = matrix.row(right.row);
    for (std::int64_t column = 1; column < matrix.columns; ++column) {
      if (a[column] != b[column]) return a[column] < b[column];
    }
    return left.row < right.row;
  };
  for (auto begin = keys.begin(); begin != keys.end();) {
    auto end = begin + 1;
    while (end != keys.end() && end->value == begin->value) ++end;
    if (end - begin > 1) std::sort(begin, end, before);
    begin = end;
  }
  return keys;
}

}  // namespace

DistinctRows::DistinctRows(Matrix<double> matrix)
    : columns(matrix.columns), distinct(static_cast<std::size_t>(matrix.rows)) {
  values.reserve(static_cast<std::size_t>(matrix.rows * matrix.columns));
  first.reserve(static_cast<std::size_t>(matrix.rows));
  for (const Key& key : sort_rows(matrix)) {
    const double* row = matrix.row(key.row);
    if (first.empty() || !std::equal(row, row + columns, values.end() - columns)) {
      first.push_back(key.row);
      values.insert(values.end(), row, row + columns);
    }
    distinct[static_cast<std::size_t>(key.row)] = static_cast<std::int64_t>(first.size()) - 1;
  }
}

}  // namespace stnas

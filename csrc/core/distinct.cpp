#include "core/distinct.h"

#include <algorithm>

namespace stnas {
namespace {

// Sorts by the first column beside the row number, so that most comparisons touch no other memory.
struct Entry {
  double head;
  std::int64_t row;
};

std::vector<Entry> sort_rows(Matrix<double> matrix) {
  std::vector<Entry> entries(static_cast<std::size_t>(matrix.rows));
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    entries[static_cast<std::size_t>(row)] = {matrix.row(row)[0], row};
  }
  const auto before = [matrix](const Entry& left, const Entry& right) {
    if (left.head != right.head) return left.head < right.head;
    const double* a = matrix.row(left.row);
    const double* b = matrix.row(right.row);
    for (std::int64_t column = 1; column < matrix.columns; ++column) {
      if (a[column] != b[column]) return a[column] < b[column];
    }
    return left.row < right.row;
  };
  std::sort(entries.begin(), entries.end(), before);
  return entries;
}

}  // namespace

DistinctRows::DistinctRows(Matrix<double> matrix)
    : columns(matrix.columns), distinct(static_cast<std::size_t>(matrix.rows)) {
  values.reserve(static_cast<std::size_t>(matrix.rows * matrix.columns));
  first.reserve(static_cast<std::size_t>(matrix.rows));
  for (const Entry& entry : sort_rows(matrix)) {
    const double* row = matrix.row(entry.row);
    if (first.empty() || !std::equal(row, row + columns, values.end() - columns)) {
      first.push_back(entry.row);
      values.insert(values.end(), row, row + columns);
    }
    distinct[static_cast<std::size_t>(entry.row)] = static_cast<std::int64_t>(first.size()) - 1;
  }
}

}  // namespace stnas

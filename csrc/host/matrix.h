#pragma once

#include <cstdint>

namespace stnas {

// A row-major matrix that somebody else owns.
template <typename T>
struct Matrix {
  const T* data;
  std::int64_t rows;
  std::int64_t columns;

  const T* row(std::int64_t index) const { return data + index * columns; }
};

}  // namespace stnas

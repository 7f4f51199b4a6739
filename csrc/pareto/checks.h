#pragma once

#include <string>

#include "host/matrix.h"

namespace stnas {

// Throw std::invalid_argument, which begins with `name` ("function: argument"), for a matrix
// without columns and for a NaN (check_finite: for an infinity too).
void check_ordered(Matrix<double> values, const std::string& name);
void check_finite(Matrix<double> values, const std::string& name);

}  // namespace stnas

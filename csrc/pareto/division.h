#pragma once

#include <cstdint>
#include <vector>

#include "host/matrix.h"

namespace stnas {

// Returns the non-dominated rank of distinct points in lexicographic order, for any number of
// objectives from two on: divide and conquer over the objectives (Jensen 2003, with the three-way
// division of Buzdalov and Shalyto 2014, which stays correct and fast on ties).
std::vector<std::int64_t> rank_by_division(Matrix<double> points);

}  // namespace stnas

#pragma once

#include <cstdint>
#include <span>

#include "host/matrix.h"

namespace stnas {

// ranks[i] = 0 for a point that no other dominates, else 1 + the largest rank of the points that
// dominate it; every objective is minimised and equal points share a rank. Infinities are ordered.
// Throws std::invalid_argument for a NaN and for no objectives.
void nondominated_sort(Matrix<double> objectives, std::span<std::int64_t> ranks);

}  // namespace stnas

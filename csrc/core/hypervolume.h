#pragma once

#include <span>

#include "core/matrix.h"

namespace stnas {

// Returns the area between the reference point and the points that are better than it in both
// objectives (minimised); points that are not add nothing. Infinite where an area leaves double.
// Throws std::invalid_argument for a NaN and for a number of objectives other than two.
double hypervolume(Matrix<double> objectives, std::span<const double> reference);

}  // namespace stnas

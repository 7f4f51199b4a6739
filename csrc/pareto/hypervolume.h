#pragma once

#include <span>

#include "host/matrix.h"

namespace stnas {

// Returns the area or volume between the reference point and the points that are better than it in
// every objective (minimised); points that are not add nothing. Infinite where it leaves double.
// Throws std::invalid_argument for a NaN and for a number of objectives other than two or three.
double hypervolume(Matrix<double> objectives, std::span<const double> reference);

}  // namespace stnas

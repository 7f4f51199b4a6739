#pragma once

#include <span>

#include "host/matrix.h"

namespace stnas {

// distances[i] = sum over the objectives of (next value - previous value) / (largest - smallest),
// with the neighbours of point i in that objective; infinite at either end, and an objective of
// range zero adds nothing. Copies of an earlier row get 0 and are nobody's neighbour; distinct
// points with one value are neighbours in lexicographic order, so the order of the rows only
// decides which of several copies is the first. Throws std::invalid_argument for a value that is
// not finite and for no objectives.
void crowding_distance(Matrix<double> objectives, std::span<double> distances);

}  // namespace stnas

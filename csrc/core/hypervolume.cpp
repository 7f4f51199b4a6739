#include "core/hypervolume.h"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/checks.h"

namespace stnas {
namespace {

void check_two(const std::string& name, std::int64_t found) {
  if (found != 2) {
    throw std::invalid_argument("hypervolume: " + name + " must have 2 objectives, got " +
                                std::to_string(found) + ": pick two columns");
  }
}

}  // namespace

double hypervolume(Matrix<double> objectives, std::span<const double> reference) {
  const auto width = static_cast<std::int64_t>(reference.size());
  check_two("objectives", objectives.columns);
  check_two("reference", width);
  check_ordered(objectives, "hypervolume: objectives");
  check_ordered({reference.data(), 1, width}, "hypervolume: reference");
  std::vector<std::pair<double, double>> points;
  for (std::int64_t index = 0; index < objectives.rows; ++index) {
    const double* point = objectives.row(index);
    if (point[0] < reference[0] && point[1] < reference[1]) points.emplace_back(point[0], point[1]);
  }
  std::sort(points.begin(), points.end());
  double area = 0;
  double lowest = reference[1];
  for (const auto& [left, height] : points) {
    if (height >= lowest) continue;
    area += (reference[0] - left) * (lowest - height);
    lowest = height;
  }
  return area;
}

}  // namespace stnas

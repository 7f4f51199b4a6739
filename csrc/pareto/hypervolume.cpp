#include "pareto/hypervolume.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pareto/checks.h"

namespace stnas {
namespace {

struct Point {
  double x, y, z;
};

// The points that are better than the reference in every objective; z is zero for two objectives.
std::vector<Point> better_points(Matrix<double> objectives, std::span<const double> reference) {
  std::vector<Point> points;
  for (std::int64_t index = 0; index < objectives.rows; ++index) {
    const double* row = objectives.row(index);
    if (std::equal(reference.begin(), reference.end(), row, std::greater<>())) {
      points.push_back({row[0], row[1], objectives.columns == 3 ? row[2] : 0});
    }
  }
  return points;
}

double area_of(std::vector<Point> points, std::span<const double> reference) {
  std::sort(points.begin(), points.end(),
            [](const Point& a, const Point& b) { return a.x != b.x ? a.x < b.x : a.y < b.y; });
  double area = 0;
  double lowest = reference[1];
  for (const auto& [left, height, depth] : points) {
    if (height >= lowest) continue;
    area += (reference[0] - left) * (lowest - height);
    lowest = height;
  }
  return area;
}

// The front of the points seen by a sweep, from left to right and from high to low, and its area.
class Front {
 public:
  explicit Front(std::span<const double> reference) : right_(reference[0]), top_(reference[1]) {}

  // Adds the area that the point is the first to dominate.
  void add(double x, double y) {
    auto at = steps_.upper_bound(x);  // the first step to the right
    double height = at == steps_.begin() ? top_ : std::prev(at)->second;
    if (height <= y) return;
    double left = x;
    while (at != steps_.end() && at->second >= y) {
      area += (at->first - left) * (height - y);
      left = at->first;
      height = at->second;
      at = steps_.erase(at);
    }
    area += ((at == steps_.end() ? right_ : at->first) - left) * (height - y);
    steps_[x] = y;
  }

  double area = 0;

 private:
  double right_, top_;
  std::map<double, double> steps_;
};

// Sweeps through the third objective: the area between two depths is that of all points before.
double volume_of(std::vector<Point> points, std::span<const double> reference) {
  std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) { return a.z < b.z; });
  Front front(reference);
  double volume = 0;
  for (std::size_t index = 0; index < points.size(); ++index) {
    front.add(points[index].x, points[index].y);
    const double next = index + 1 < points.size() ? points[index + 1].z : reference[2];
    if (next > points[index].z) volume += front.area * (next - points[index].z);
  }
  return volume;
}

}  // namespace

double hypervolume(Matrix<double> objectives, std::span<const double> reference) {
  const auto width = static_cast<std::int64_t>(reference.size());
  if (objectives.columns != 2 && objectives.columns != 3) {
    throw std::invalid_argument("hypervolume: objectives must have 2 or 3 objectives, got " +
                                std::to_string(objectives.columns) + ": pick some of the columns");
  }
  if (width != objectives.columns) {
    throw std::invalid_argument("hypervolume: reference must have " +
                                std::to_string(objectives.columns) +
                                " objectives as the points do, got " + std::to_string(width));
  }
  check_ordered(objectives, "hypervolume: objectives");
  check_ordered({reference.data(), 1, width}, "hypervolume: reference");
  auto points = better_points(objectives, reference);
  return width == 2 ? area_of(std::move(points), reference)
                    : volume_of(std::move(points), reference);
}

}  // namespace stnas

#include <cmath>
#include <limits>

#include "host/tests/check.h"
#include "pareto/hypervolume.h"

using namespace stnas;
using namespace stnas::test;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double area(const Owned<double>& points, const std::vector<double>& reference) {
  return hypervolume(points.view(), reference);
}

// Counts the unit squares below the reference whose lower left corner some point covers.
double count_squares(const Owned<double>& points, int corner) {
  int squares = 0;
  for (int x = -1; x < corner; ++x) {
    for (int y = -1; y < corner; ++y) {
      bool covered = false;
      for (std::size_t at = 0; at < points.values.size(); at += 2) {
        covered = covered || (points.values[at] <= x && points.values[at + 1] <= y);
      }
      squares += covered ? 1 : 0;
    }
  }
  return squares;
}

void known_areas() {
  expect(area({{1, 3, 2, 2, 3, 1, 2, 2, 3, 3, 9, 0}, 2}, {4, 4}) == 6, "six unit squares");
  expect(area({{}, 2}, {4, 4}) == 0, "no points have no area");
  expect(area({{4, 0, 0, 4, 5, 5}, 2}, {4, 4}) == 0, "points on the border have no area");
}

void equals_the_squares_counted() {
  std::mt19937_64 random(5);
  for (int draw = 0; draw < 4000; ++draw) {
    const auto points = draw_points(random, 12, 2);
    const int corner = static_cast<int>(random() % 8);
    const double reference = corner;
    expect_equal<double>({area(points, {reference, reference})}, {count_squares(points, corner)},
                         points.text());
  }
}

// The same for unit cubes.
double count_cubes(const Owned<double>& points, int corner) {
  int cubes = 0;
  for (int x = -1; x < corner; ++x) {
    for (int y = -1; y < corner; ++y) {
      for (int z = -1; z < corner; ++z) {
        bool covered = false;
        for (std::size_t at = 0; at < points.values.size(); at += 3) {
          covered = covered || (points.values[at] <= x && points.values[at + 1] <= y &&
                                points.values[at + 2] <= z);
        }
        cubes += covered ? 1 : 0;
      }
    }
  }
  return cubes;
}

void equals_the_cubes_counted() {
  std::mt19937_64 random(6);
  for (int draw = 0; draw < 3000; ++draw) {
    const auto points = draw_points(random, 14, 3);
    const int corner = static_cast<int>(random() % 8);
    const double reference = corner;
    expect_equal<double>({area(points, {reference, reference, reference})},
                         {count_cubes(points, corner)}, points.text());
  }
}

void takes_infinities_in_three_objectives() {
  expect(area({{kInfinity, 0, 0, 3, 3, 3}, 3}, {4, 4, 4}) == 1, "an infinite point adds nothing");
  expect(area({{-kInfinity, 0, 0, -kInfinity, -kInfinity, -kInfinity}, 3}, {4, 4, 4}) == kInfinity,
         "endless");
  expect(area({{0, 0, -kInfinity, 1, -1, 0}, 3}, {4, 4, kInfinity}) == kInfinity, "endless depth");
}

void takes_infinities() {
  expect(area({{kInfinity, 0, 3, 3}, 2}, {4, 4}) == 1, "an infinite point adds nothing");
  expect(area({{-kInfinity, 0, -kInfinity, -kInfinity}, 2}, {4, 4}) == kInfinity, "endless");
  expect(area({{0, 0, 1, -1}, 2}, {kInfinity, kInfinity}) == kInfinity, "endless reference");
}

void refuses_nan_and_other_widths() {
  expect_refused([] { area({{1, std::nan("")}, 2}, {4, 4}); }, "at row 0, column 1");
  expect_refused([] { area({{1, 1}, 2}, {4, std::nan("")}); }, "reference must hold no NaN");
  expect_refused([] { area({{1, 1, 1}, 3}, {4, 4}); }, "reference must have 3 objectives");
  expect_refused([] { area({{1, 1, 1, 1}, 4}, {4, 4, 4, 4}); }, "2 or 3 objectives, got 4");
  expect_refused([] { area({{1, 1}, 2}, {4}); }, "reference must have 2 objectives");
}

}  // namespace

int main() {
  return run({
      {"known areas", known_areas},
      {"equals the squares counted", equals_the_squares_counted},
      {"takes infinities", takes_infinities},
      {"equals the cubes counted", equals_the_cubes_counted},
      {"takes infinities in three objectives", takes_infinities_in_three_objectives},
      {"refuses nan and other widths", refuses_nan_and_other_widths},
  });
}

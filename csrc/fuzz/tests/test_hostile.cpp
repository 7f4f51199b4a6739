// Gives the core any bytes as numbers, any shapes and any references: it computes or refuses.

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "counting/counting.h"
#include "host/tests/check.h"
#include "pareto/crowding.h"
#include "pareto/hypervolume.h"
#include "pareto/nondominated.h"

using namespace stnas;
using namespace stnas::test;

namespace {

constexpr int kRounds = 4000;

struct Count {
  int computed = 0, refused = 0;

  void add(const std::function<void()>& work) {
    try {
      work();
      ++computed;
    } catch (const std::invalid_argument& error) {
      expect(std::string(error.what()).find("must") != std::string::npos, error.what());
      ++refused;
    }
  }

  void expect_both() const {
    expect(computed > 100, "hardly anything is computed: " + std::to_string(computed));
    expect(refused > 100, "hardly anything is refused: " + std::to_string(refused));
  }
};

// A double of random bits, which may be NaN or subnormal, or a number that often comes twice.
double draw_number(std::mt19937_64& random, bool only_numbers) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kEdges[] = {0.0, -0.0, 1.0, kInfinity, -kInfinity, 1e308, -1e308, 5e-324};
  const double any = std::bit_cast<double>(random());
  if (random() % 2 == 0 || (only_numbers && std::isnan(any))) return kEdges[random() % 8];
  return any;
}

Owned<double> draw_any(std::mt19937_64& random) {
  const bool only_numbers = random() % 2 == 0;
  Owned<double> points{{}, static_cast<std::int64_t>(random() % 6)};
  points.values.resize(random() % 40 * static_cast<std::size_t>(points.columns));
  for (double& value : points.values) value = draw_number(random, only_numbers);
  return points;
}

void sorts_or_refuses_any_points() {
  std::mt19937_64 random(11);
  Count count;
  for (int round = 0; round < kRounds; ++round) {
    const auto points = draw_any(random);
    const auto rows = static_cast<std::size_t>(points.view().rows);
    std::vector<std::int64_t> ranks(rows, -1);
    std::vector<double> distances(rows, -1.0);
    count.add([&] {
      nondominated_sort(points.view(), ranks);
      for (const std::int64_t rank : ranks) {
        expect(rank >= 0 && rank < static_cast<std::int64_t>(rows), "a rank is no rank");
      }
    });
    count.add([&] {
      crowding_distance(points.view(), distances);
      for (const double distance : distances) expect(!(distance < 0), "a distance is negative");
    });
  }
  count.expect_both();
}

void measures_or_refuses_any_volume() {
  std::mt19937_64 random(12);
  Count count;
  for (int round = 0; round < kRounds; ++round) {
    const auto points = draw_any(random);
    const std::size_t same = static_cast<std::size_t>(points.columns);
    std::vector<double> reference(random() % 4 == 0 ? random() % 6 : same);
    for (double& value : reference) value = draw_number(random, random() % 4 != 0);
    count.add(
        [&] { expect(!(hypervolume(points.view(), reference) < 0), "a volume is negative"); });
  }
  count.expect_both();
}

void counts_or_refuses_any_genotypes() {
  std::mt19937_64 random(13);
  Count count;
  for (int round = 0; round < kRounds; ++round) {
    const auto genes = static_cast<std::int64_t>(random() % 70);
    const auto choices = static_cast<std::int64_t>(random() % 20);
    const bool inside = random() % 2 == 0 && choices > 0;
    Owned<std::int8_t> genotypes{{}, genes};
    genotypes.values.resize(random() % 90 * static_cast<std::size_t>(genes));
    for (std::int8_t& gene : genotypes.values) {
      const auto any = static_cast<std::int8_t>(random());
      gene = inside ? static_cast<std::int8_t>(std::abs(any / 2) % choices) : any;
    }
    Owned<std::int64_t> table{{}, choices};
    table.values.resize(
        static_cast<std::size_t>((random() % 4 == 0 ? genes / 2 : genes) * choices));
    const auto shift = random() % 64;
    for (std::int64_t& entry : table.values) entry = static_cast<std::int64_t>(random() >> shift);
    std::vector<std::int64_t> sums(static_cast<std::size_t>(genotypes.view().rows));
    const auto threads = static_cast<std::int64_t>(random() % 8 == 0 ? random() : 1);
    count.add([&] { count_madds(genotypes.view(), table.view(), sums, threads); });
  }
  count.expect_both();
}

}  // namespace

int main() {
  return run({
      {"sorts or refuses any points", sorts_or_refuses_any_points},
      {"measures or refuses any volume", measures_or_refuses_any_volume},
      {"counts or refuses any genotypes", counts_or_refuses_any_genotypes},
  });
}

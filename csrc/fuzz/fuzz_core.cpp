// Gives the core what libFuzzer makes of its input: it computes what a plain loop computes, or
// refuses with std::invalid_argument.

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "counting/counting.h"
#include "pareto/crowding.h"
#include "pareto/hypervolume.h"
#include "pareto/nondominated.h"

using namespace stnas;

namespace {

// Stops the fuzzer, which then keeps the input.
void expect(bool holds, const char* message) {
  if (holds) return;
  std::cerr << "not so: " << message << '\n';
  std::abort();
}

// Calls `work`; returns whether it computed. A refusal says what must be.
template <typename Work>
bool computes(Work work) {
  try {
    work();
    return true;
  } catch (const std::invalid_argument& error) {
    expect(std::string(error.what()).find("must") != std::string::npos, "a refusal has its rule");
    return false;
  }
}

// A small whole number, so that values coincide, or any eight bytes.
double take_number(FuzzedDataProvider& input) {
  const auto kind = input.ConsumeIntegral<std::int8_t>();
  return kind < 112 ? kind : std::bit_cast<double>(input.ConsumeIntegral<std::uint64_t>());
}

struct Points {
  std::int64_t columns;
  std::vector<double> values;

  explicit Points(FuzzedDataProvider& input) : columns(input.ConsumeIntegralInRange(0, 6)) {
    const auto rows = input.ConsumeIntegralInRange<std::int64_t>(0, 48);
    values.resize(static_cast<std::size_t>(rows * columns));
    std::generate(values.begin(), values.end(), [&] { return take_number(input); });
  }

  Matrix<double> view() const {
    const auto size = static_cast<std::int64_t>(values.size());
    return {values.data(), columns > 0 ? size / columns : 0, columns};
  }
  template <typename Test>
  bool all(Test test) const {
    return std::all_of(values.begin(), values.end(), test);
  }
};

bool is_number(double value) { return !std::isnan(value); }

bool dominates(const double* a, const double* b, std::int64_t columns) {
  return std::equal(a, a + columns, b, [](double x, double y) { return x <= y; }) &&
         !std::equal(a, a + columns, b);
}

void sort_points(FuzzedDataProvider& input) {
  const Points points(input);
  const auto view = points.view();
  std::vector<std::int64_t> ranks(static_cast<std::size_t>(view.rows), -1);
  const bool computed = computes([&] { nondominated_sort(view, ranks); });
  expect(computed == (points.columns > 0 && points.all(is_number)), "what is sorted are numbers");
  for (std::int64_t row = 0; computed && row < view.rows; ++row) {
    std::int64_t rank = 0;
    for (std::int64_t other = 0; other < view.rows; ++other) {
      if (!dominates(view.row(other), view.row(row), view.columns)) continue;
      rank = std::max(rank, ranks[static_cast<std::size_t>(other)] + 1);
    }
    expect(ranks[static_cast<std::size_t>(row)] == rank, "a rank follows its definition");
  }
}

void crowd_points(FuzzedDataProvider& input) {
  const Points points(input);
  const auto view = points.view();
  std::vector<double> distances(static_cast<std::size_t>(view.rows), -1.0);
  const bool computed = computes([&] { crowding_distance(view, distances); });
  const bool finite = points.all([](double value) { return std::isfinite(value); });
  expect(computed == (points.columns > 0 && finite), "what is crowded is finite");
  for (const double distance : distances) expect(!computed || distance >= 0, "a distance is one");
}

void measure_points(FuzzedDataProvider& input) {
  const Points points(input);
  const auto size = input.ConsumeBool() ? points.columns : input.ConsumeIntegralInRange(0, 6);
  std::vector<double> reference(static_cast<std::size_t>(size));
  for (double& value : reference) value = take_number(input);
  double volume = 0.0;
  const bool computed = computes([&] { volume = hypervolume(points.view(), reference); });
  const bool numbers = std::all_of(reference.begin(), reference.end(), is_number);
  const bool fits = size == points.columns && (size == 2 || size == 3);
  expect(computed == (fits && numbers && points.all(is_number)), "what is measured are numbers");
  expect(volume >= 0, "a volume is one");
}

void count_genotypes(FuzzedDataProvider& input) {
  const auto genes = input.ConsumeIntegralInRange<std::int64_t>(0, 70);
  const auto choices = input.ConsumeIntegralInRange<std::int64_t>(0, 130);
  const auto rows = input.ConsumeIntegralInRange<std::int64_t>(0, 90);
  const auto shift = input.ConsumeIntegralInRange(0, 63);
  const auto threads = input.ConsumeBool() ? 1 : input.ConsumeIntegral<std::int64_t>();
  std::vector<std::int8_t> genotypes(static_cast<std::size_t>(genes * rows));
  const auto limit = choices + input.ConsumeIntegralInRange(0, 1);  // of genes, one beyond at most
  const bool inside = limit > 0 && input.ConsumeBool();
  for (std::int8_t& gene : genotypes) {
    const auto any = input.ConsumeIntegral<std::int8_t>();
    gene = inside ? static_cast<std::int8_t>(std::abs(any / 2) % limit) : any;
  }
  std::vector<std::int64_t> table(static_cast<std::size_t>(genes * choices));
  for (std::int64_t& entry : table) entry = input.ConsumeIntegral<std::int64_t>() >> shift;
  std::vector<std::int64_t> sums(static_cast<std::size_t>(rows));
  const Genotypes view{genotypes.data(), rows, genes};
  const Table costs{table.data(), genes, choices};
  if (!computes([&] { count_madds(view, costs, sums, threads); })) return;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t sum = 0;  // of entries whose sums the core has found to stay in int64
    for (std::int64_t gene = 0; gene < genes; ++gene) {
      const auto choice = static_cast<std::int64_t>(view.row(row)[gene]);
      expect(choice >= 0 && choice < choices, "a gene that is counted is a choice");
      sum += costs.row(gene)[choice];
    }
    expect(sums[static_cast<std::size_t>(row)] == sum, "a sum is that of its entries");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  constexpr void (*kTargets[])(FuzzedDataProvider&) = {sort_points, crowd_points, measure_points,
                                                       count_genotypes};
  input.PickValueInArray(kTargets)(input);
  return 0;
}

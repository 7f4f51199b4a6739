#include "pareto/checks.h"

#include <cmath>
#include <stdexcept>

namespace stnas {
namespace {

template <typename Accept>
void check_values(Matrix<double> values, const std::string& name, const std::string& rule,
                  Accept accept) {
  if (values.columns < 1) {
    throw std::invalid_argument(name +
                                " must have at least one column, got 0: pass one column per "
                                "objective");
  }
  const std::int64_t size = values.rows * values.columns;
  for (std::int64_t index = 0; index < size; ++index) {
    if (!accept(values.data[index])) {
      throw std::invalid_argument(
          name + " must " + rule + ", got " + std::to_string(values.data[index]) + " at row " +
          std::to_string(index / values.columns) + ", column " +
          std::to_string(index % values.columns) + ": remove the points without a valid score");
    }
  }
}

}  // namespace

void check_ordered(Matrix<double> values, const std::string& name) {
  check_values(values, name, "hold no NaN", [](double value) { return !std::isnan(value); });
}

void check_finite(Matrix<double> values, const std::string& name) {
  check_values(values, name, "be finite", [](double value) { return std::isfinite(value); });
}

}  // namespace stnas

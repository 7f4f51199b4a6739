#include "pareto/order.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace stnas {
namespace {

constexpr std::size_t kFew = 200;  // up to this many keys comparisons are faster
constexpr std::size_t kDigits = 8;

using Counts = std::array<std::array<std::int64_t, 256>, kDigits>;

std::uint64_t ordered_bits(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value + 0.0);
  constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  return bits & kSign ? ~bits : bits | kSign;
}

std::size_t digit(std::uint64_t value, std::size_t place) { return value >> (8 * place) & 255; }

// Moves keys to where the digits at `place` put them, keeping the order of equal digits.
void scatter(const std::vector<Key>& from, std::array<std::int64_t, 256>& counts, std::size_t place,
             std::vector<Key>& to) {
  std::int64_t start = 0;
  for (std::int64_t& count : counts) start += std::exchange(count, start);
  for (const Key& key : from) {
    to[static_cast<std::size_t>(counts[digit(key.value, place)]++)] = key;
  }
}

}  // namespace

std::vector<Key> sort_column(Matrix<double> matrix, std::int64_t column) {
  std::vector<Key> keys(static_cast<std::size_t>(matrix.rows));
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    keys[static_cast<std::size_t>(row)] = {ordered_bits(matrix.row(row)[column]), row};
  }
  if (keys.size() <= kFew) {
    std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
      return a.value != b.value ? a.value < b.value : a.row < b.row;
    });
    return keys;
  }
  Counts counts{};
  for (const Key& key : keys) {
    for (std::size_t place = 0; place < kDigits; ++place) ++counts[place][digit(key.value, place)];
  }
  std::vector<Key> other(keys.size());
  for (std::size_t place = 0; place < kDigits; ++place) {
    const auto same = counts[place][digit(keys.front().value, place)];
    if (same == matrix.rows) continue;
    scatter(keys, counts[place], place, other);
    keys.swap(other);
  }
  return keys;
}

}  // namespace stnas

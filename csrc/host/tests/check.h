#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iostream>
#include <random>
#include <source_location>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "host/matrix.h"

namespace stnas::test {

using Where = std::source_location;

inline void expect(bool holds, const std::string& message, Where where = Where::current()) {
  if (holds) return;
  throw std::logic_error(std::string(where.file_name()) + ":" + std::to_string(where.line()) +
                         ": " + message);
}

template <typename T>
std::string print(std::span<const T> values) {
  std::ostringstream text;
  for (const T& value : values) text << value << ' ';
  return text.str();
}

template <typename T>
void expect_equal(const std::vector<T>& found, const std::vector<T>& expected,
                  const std::string& input = "", Where where = Where::current()) {
  expect(found == expected, "found " + print<T>(found) + "and not " + print<T>(expected) + input,
         where);
}

// Expects std::invalid_argument with `part` in its message.
inline void expect_refused(const std::function<void()>& work, const std::string& part,
                           Where where = Where::current()) {
  std::string message = "nothing thrown";
  try {
    work();
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  expect(message.find(part) != std::string::npos, "'" + message + "' lacks '" + part + "'", where);
}

template <typename T>
struct Owned {
  std::vector<T> values;
  std::int64_t columns;

  Matrix<T> view() const {
    const auto size = static_cast<std::int64_t>(values.size());
    return {values.data(), columns > 0 ? size / columns : 0, columns};
  }
  std::string text() const { return "for " + print<T>(values); }
};

// Draws small integers, so that values, points and whole objectives coincide often.
inline Owned<double> draw_points(std::mt19937_64& random, int most_points, int columns) {
  const auto up_to = [&random](int largest) {
    return static_cast<int>(random() % static_cast<std::uint64_t>(largest + 1));
  };
  const int values = up_to(3) == 0 ? 1000 : 1 + up_to(6);
  Owned<double> points{{}, columns};
  points.values.resize(static_cast<std::size_t>(up_to(most_points) * columns));
  for (double& value : points.values) value = up_to(values) - 1;
  return points;
}

struct Case {
  const char* name;
  void (*run)();
};

inline int run(std::initializer_list<Case> cases) {
  int failures = 0;
  for (const Case& test : cases) {
    try {
      test.run();
    } catch (const std::exception& error) {
      std::cerr << test.name << " failed: " << error.what() << '\n';
      ++failures;
    }
  }
  std::cout << cases.size() << " cases, " << failures << " failed\n";
  return failures == 0 ? 0 : 1;
}

}  // namespace stnas::test

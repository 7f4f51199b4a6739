// A rule of an operator's arguments. A broken one is a std::invalid_argument: Python's ValueError.
#pragma once

#include <sstream>
#include <stdexcept>

namespace stnas {

template <class... Parts>
void check(bool rule, const Parts&... message) {
  if (rule) return;
  std::ostringstream text;
  ((text << message), ...);
  throw std::invalid_argument(text.str());
}

}  // namespace stnas

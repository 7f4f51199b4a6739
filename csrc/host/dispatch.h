// Finds the kernels of an instruction set: tables of pointers to functions, one an operator or
// pass.
#pragma once

#include <stdexcept>
#include <string>
#include <type_traits>

#include "host/instruction_set.h"
#include "host/numbers.h"

namespace stnas::cpu {

// STNAS_ISAS is ISA(name, wide, HAS(feature)...) of every set that was compiled, plain ones first.
#define ISA(set, wide, ...) \
  namespace set {           \
  template <class Table>    \
  const Table& table();     \
  }
STNAS_ISAS
#undef ISA

// The kernels of a set: for bfloat16 its own, for float those of its `wide` set; for double there
// are the portable ones alone.
template <class Table>
const Table& kernels_of(const std::string& name) {
  using Stored = typename Table::Stored;
  if constexpr (std::is_same_v<Stored, double>) return generic::table<Table>();
#define ISA(set, wide, ...)                           \
  if (name == #set) {                                 \
    if constexpr (std::is_same_v<Stored, BFloat16>)   \
      return set::table<Table>();                     \
    else if constexpr (std::is_same_v<Stored, float>) \
      return wide::table<Table>();                    \
  }
  STNAS_ISAS
#undef ISA
  throw std::invalid_argument("no kernels are compiled for the instruction set " + name);
}

// Those of the set in use.
template <class Table>
const Table& kernels() {
  static const Table& chosen = kernels_of<Table>(instruction_set());
  return chosen;
}

}  // namespace stnas::cpu

// Chooses the instruction set once, when the first kernel is asked for.
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "problem.h"

namespace stnas::cpu {

#define STNAS_DECLARE(isa)         \
  namespace isa {                  \
  template <class T>               \
  const Kernels<T>& table();       \
  }
STNAS_DECLARE(generic)
STNAS_DECLARE(avx2)
STNAS_DECLARE(avx512)
#undef STNAS_DECLARE

namespace {

struct InstructionSet {
  const char* name;
  bool present;
  const Kernels<float>& (*kernels)();
};

const InstructionSet& choose() {
#if defined(__x86_64__)
  static const InstructionSet sets[] = {
      {"avx512", __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"),
       avx512::table<float>},
      {"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"),
       avx2::table<float>},
      {"generic", true, generic::table<float>}};
#else
  static const InstructionSet sets[] = {{"generic", true, generic::table<float>}};
#endif
  const char* wanted = std::getenv("STNAS_ISA");
  std::string present;
  for (const auto& set : sets) {
    if (!set.present) continue;
    if (!wanted || !*wanted || std::string(wanted) == set.name) return set;
    present += (present.empty() ? "" : ", ") + std::string(set.name);
  }
  throw std::runtime_error("STNAS_ISA must be one of the instruction sets of this machine (" +
                           present + "), got '" + wanted + "': unset it to use the best");
}

const InstructionSet& chosen() {
  static const InstructionSet& set = choose();
  return set;
}

}  // namespace

template <>
const Kernels<float>& kernels<float>() {
  return chosen().kernels();
}

template <>
const Kernels<double>& kernels<double>() {
  return generic::table<double>();
}

const char* instruction_set() { return chosen().name; }

}  // namespace stnas::cpu

// Finds the kernels of the instruction set in use.
#include <stdexcept>
#include <string>
#include <type_traits>

#include "host/instruction_set.h"
#include "host/problem.h"

namespace stnas::cpu {

#define STNAS_DECLARE(isa)         \
  namespace isa {                  \
  template <class T>               \
  const Kernels<T>& table();       \
  }
STNAS_DECLARE(generic)
STNAS_DECLARE(avx2)
STNAS_DECLARE(avx512)
STNAS_DECLARE(avx512bf16)
STNAS_DECLARE(amx)
#undef STNAS_DECLARE

namespace {

template <class S>
const Kernels<S>& named(const std::string& name) {
  if (name == "generic") return generic::table<S>();
#if defined(__x86_64__)
  if (name == "avx2") return avx2::table<S>();
  if constexpr (std::is_same_v<S, BFloat16>) {
    if (name == "avx512bf16") return avx512bf16::table<S>();
    if (name == "amx") return amx::table<S>();
  }
  if (name == "avx512" || name == "avx512bf16" || name == "amx") return avx512::table<S>();
#endif
  throw std::runtime_error("no kernels are compiled for the instruction set " + name);
}

}  // namespace

template <>
const Kernels<float>& kernels<float>() {
  static const Kernels<float>& chosen = named<float>(instruction_set());
  return chosen;
}

template <>
const Kernels<BFloat16>& kernels<BFloat16>() {
  static const Kernels<BFloat16>& chosen = named<BFloat16>(instruction_set());
  return chosen;
}

template <>
const Kernels<double>& kernels<double>() {
  return generic::table<double>();
}

}  // namespace stnas::cpu

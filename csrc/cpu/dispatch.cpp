// Finds the kernels of the instruction set in use.
#include <stdexcept>
#include <string>

#include "instruction_set.h"
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

const Kernels<float>& named(const std::string& name) {
  if (name == "generic") return generic::table<float>();
#if defined(__x86_64__)
  if (name == "avx2") return avx2::table<float>();
  if (name == "avx512") return avx512::table<float>();
#endif
  throw std::runtime_error("no kernels are compiled for the instruction set " + name);
}

}  // namespace

template <>
const Kernels<float>& kernels<float>() {
  static const Kernels<float>& chosen = named(instruction_set());
  return chosen;
}

template <>
const Kernels<double>& kernels<double>() {
  return generic::table<double>();
}

}  // namespace stnas::cpu

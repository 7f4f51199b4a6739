// Finds the kernels of an instruction set by its name.
#include <stdexcept>
#include <string>

#include "host/instruction_set.h"
#include "sgld/step.h"

namespace stnas::sgld {

#define STNAS_DECLARE(isa) \
  namespace isa {          \
  const Kernels& table();  \
  }
STNAS_DECLARE(generic)
STNAS_DECLARE(avx2)
STNAS_DECLARE(avx512)
STNAS_DECLARE(avx512bf16)
STNAS_DECLARE(amx)
#undef STNAS_DECLARE

const Kernels& kernels(const char* instruction_set) {
  const std::string name = instruction_set;
  if (name == "generic") return generic::table();
#if defined(__x86_64__)
  if (name == "avx2") return avx2::table();
  if (name == "avx512") return avx512::table();
  if (name == "avx512bf16") return avx512bf16::table();
  if (name == "amx") return amx::table();
#endif
  throw std::runtime_error("no kernels of sgld are compiled for the instruction set " + name);
}

const Kernels& kernels() {
  static const Kernels& chosen = kernels(cpu::instruction_set());
  return chosen;
}

}  // namespace stnas::sgld

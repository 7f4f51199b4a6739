// Chooses the instruction set once, when the first kernel is asked for.
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "host/instruction_set.h"

namespace stnas::cpu {
namespace {

struct InstructionSet {
  const char* name;
  bool present;
};

#if defined(__x86_64__)
// Whether the processor has AMX and the system lets this process, and its threads to come, use it.
bool may_use_amx() {
#if defined(STNAS_EMULATED_TILES)
  return true;
#elif defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // arch_prctl(2)
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

const InstructionSet& choose() {
#if defined(__x86_64__)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
  static const InstructionSet sets[] = {
      {"amx", bf16 && may_use_amx()},
      {"avx512bf16", bf16},
      {"avx512", avx512},
      {"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
      {"generic", true}};
#else
  static const InstructionSet sets[] = {{"generic", true}};
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

}  // namespace

const char* instruction_set() {
  static const InstructionSet& set = choose();
  return set.name;
}

}  // namespace stnas::cpu

// Chooses the instruction set once, when the first kernel is asked for.
#include "host/instruction_set.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace stnas::cpu {
namespace {

// Whether this process, and its threads to come, may use the tile registers of a processor that has
// them.
bool may_use_tiles() {
#if defined(__x86_64__) && defined(__linux__) && !defined(STNAS_EMULATED_TILES)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // arch_prctl(2)
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

[[maybe_unused]] bool has(const char* feature, bool told) {
  if (std::strncmp(feature, "amx-", 4) != 0) return told;
#if defined(STNAS_EMULATED_TILES)
  return true;
#else
  return told && may_use_tiles();
#endif
}

const std::string& choose() {
  const auto& present = instruction_sets();
  const char* wanted = std::getenv("STNAS_ISA");
  if (!wanted || !*wanted) return present.back();
  const auto found = std::find(present.begin(), present.end(), wanted);
  if (found != present.end()) return *found;
  std::string names;
  for (const auto& name : present) names += (names.empty() ? "" : ", ") + name;
  throw std::runtime_error("STNAS_ISA must be one of the instruction sets of this machine (" +
                           names + "), got '" + wanted + "': unset it to use the best");
}

}  // namespace

const std::vector<std::string>& instruction_sets() {
  static const std::vector<std::string> present = [] {
    std::vector<std::string> found;
#define HAS(feature) &&has(#feature, __builtin_cpu_supports(#feature))
#define ISA(name, wide, ...) \
  if (true __VA_ARGS__) found.push_back(#name);
    STNAS_ISAS
#undef ISA
#undef HAS
    return found;
  }();
  return present;
}

const std::string& instruction_set() {
  static const std::string& name = choose();
  return name;
}

}  // namespace stnas::cpu

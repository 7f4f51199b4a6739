// What every kernel is compiled with. No torch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stnas::cpu {

using index = int64_t;

// Inlined wherever it is used: the same function compiled for two instruction sets must not be shared.
#define STNAS_INLINE inline __attribute__((always_inline))

// Name of the instruction set in use: STNAS_ISA, else the best this machine has. Throws
// std::runtime_error where STNAS_ISA names one that is unknown or missing.
const char* instruction_set();

}  // namespace stnas::cpu

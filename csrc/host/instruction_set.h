// The instruction set that every kernel of the extension uses. No torch.
#pragma once

namespace stnas::cpu {

// Name of the instruction set in use: STNAS_ISA, else the best this machine has. Throws
// std::runtime_error where STNAS_ISA names one that is unknown or missing.
const char* instruction_set();

}  // namespace stnas::cpu

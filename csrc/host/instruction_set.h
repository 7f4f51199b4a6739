// The instruction set that every kernel of the extension uses. No torch.
#pragma once

#include <string>
#include <vector>

namespace stnas::cpu {

// Names of the sets that kernels are compiled for and that this machine has, plain ones first.
const std::vector<std::string>& instruction_sets();

// Name of the one in use: STNAS_ISA, else the last of them. Throws std::runtime_error where
// STNAS_ISA names another.
const std::string& instruction_set();

}  // namespace stnas::cpu

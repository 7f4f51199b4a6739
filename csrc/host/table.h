// The tables of kernels that this instruction set has of its own. Included by sources that are
// compiled once per set, with its flags and -DSTNAS_ISA=<its name>.
#pragma once

#include "host/numbers.h"

namespace stnas::cpu::STNAS_ISA {

// Defined where the kernels are, for each type of the images that a set has its own kernels for.
template <class Table>
const Table& table();

#if defined(__AVX512BF16__)  // whose other kernels are those of avx512
#define STNAS_EACH_WIDE_TYPE(use)
#elif defined(STNAS_PORTABLE)
#define STNAS_EACH_WIDE_TYPE(use) use(float) use(double)
#else
#define STNAS_EACH_WIDE_TYPE(use) use(float)
#endif
#define STNAS_EACH_TYPE(use) use(BFloat16) STNAS_EACH_WIDE_TYPE(use)

}  // namespace stnas::cpu::STNAS_ISA

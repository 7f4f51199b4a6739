// The kernels, as the binding sees them: plain pointers to device memory, sizes, a stream. Each is
// compiled by nvcc for devices, and by the host's compiler on the emulator for the tests.
#pragma once

#include <cstdint>

namespace stnas::cuda {

// One batch of genotypes, all in device memory. `bad` becomes the least index of a gene outside the
// table, where there is one.
struct Counting {
  const int8_t* genotypes;  // [rows, genes]
  const int64_t* table;     // [genes, choices]
  int64_t* counts;          // [rows]
  int64_t* bad;
  int64_t rows, genes, choices;
};
void count_madds(const Counting& work, void* stream);

}  // namespace stnas::cuda

// counts[i] = sum_g table[g, genotypes[i, g]].
#pragma once

#include "device/compat.cuh"

#include "counting/cuda/launchers.h"

namespace stnas::cuda {

constexpr int kRows = 128;                  // of a block, one thread each
constexpr int64_t kStagedBytes = 48 << 10;  // of shared memory, at most

// Shared memory that stages the table, rounded up to whole 16 bytes, and the rows of a block.
STNAS_INLINE constexpr int64_t table_bytes(int64_t genes, int64_t choices) {
  return (genes * choices + 1) / 2 * 16;
}
constexpr int64_t staged_bytes(int64_t genes, int64_t choices) {
  return table_bytes(genes, choices) + genes * kRows;
}

// Copies 16 bytes a thread; the last bytes, or all of a source that lies askew, one by one.
__device__ inline void stage(const int8_t* from, int64_t bytes, int8_t* to) {
  using Sixteen = Pack<int8_t, 16>;
  const int64_t whole = aligned(from) ? bytes / 16 : 0;
  for (int64_t i = threadIdx.x; i < whole; i += kRows) {
    reinterpret_cast<Sixteen*>(to)[i] = reinterpret_cast<const Sixteen*>(from)[i];
  }
  for (int64_t i = whole * 16 + threadIdx.x; i < bytes; i += kRows) to[i] = from[i];
}

// One thread per row. Staged, the rows of a block, which are one piece of memory, and the table
// come into shared memory first, by 16-byte loads; else the caches must do.
template <bool staged>
__global__ void __launch_bounds__(kRows) count_madds_kernel(Counting work) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kRows, row = first + threadIdx.x;
  const int8_t* genotypes = work.genotypes + first * work.genes;
  const int64_t* table = work.table;
  if constexpr (staged) {
    auto* costs = dynamic_shared<int64_t>();
    auto* rows = dynamic_shared<int8_t>() + table_bytes(work.genes, work.choices);
    const int64_t left = work.rows - first < kRows ? work.rows - first : kRows;
    for (int64_t i = threadIdx.x; i < work.genes * work.choices; i += kRows) costs[i] = table[i];
    stage(genotypes, left * work.genes, rows);
    __syncthreads();
    genotypes = rows;
    table = costs;
  }
  if (row >= work.rows) return;
  int64_t count = 0;
  for (int64_t gene = 0; gene < work.genes; ++gene) {
    const int choice = genotypes[threadIdx.x * work.genes + gene];
    if (choice >= 0 && choice < work.choices) {
      count += table[gene * work.choices + choice];
    } else {
      atomicMin(reinterpret_cast<long long*>(work.bad),
                static_cast<long long>(row * work.genes + gene));
    }
  }
  work.counts[row] = count;
}

}  // namespace stnas::cuda

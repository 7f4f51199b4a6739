// The tile registers of AMX: 16 rows of 64 bytes each, 32 bfloat16 or 16 float a row. Linux lets a
// process use them once it has asked (instruction_set.cpp).
#pragma once

#include "problem.h"

#if defined(__AMX_BF16__) || defined(STNAS_EMULATED_TILES)
#define STNAS_HAS_TILES
#endif

namespace stnas::cpu::STNAS_ISA {

constexpr index kTileRows = 16;
constexpr index kTileDepth = 32;  // bfloat16 values in a row of a tile

}  // namespace stnas::cpu::STNAS_ISA

#ifdef STNAS_EMULATED_TILES
#include "tests/emulated_tiles.h"
#else
namespace stnas::cpu::STNAS_ISA {

#ifdef STNAS_HAS_TILES
// While it lives, this thread's tile registers are in use. Other libraries set and free them as they
// like, so every task has a scope of its own.
struct TileScope {
  TileScope() {
    struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } shape;
    asm volatile("ldtilecfg %0" ::"m"(shape) : "memory");
  }
  ~TileScope() { asm volatile("tilerelease" ::: "memory"); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

template <int Tile>
STNAS_INLINE void tile_zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(Tile) : "memory");
}

// 16 rows that stand `step` bytes apart.
template <int Tile>
STNAS_INLINE void tile_load(const void* from, index step) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(step), "i"(Tile) : "memory");
}

template <int Tile>
STNAS_INLINE void tile_store(float* to) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(index{64}), "i"(Tile) : "memory");
}

// Sum[i, j] += sum over k of Left[i, k] Right[k / 2, 2 j + k % 2].
template <int Sum, int Left, int Right>
STNAS_INLINE void tile_multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(Sum), "i"(Left), "i"(Right)
               : "memory");
}
#else
struct TileScope {
  TileScope() {}
};
#endif

}  // namespace stnas::cpu::STNAS_ISA
#endif

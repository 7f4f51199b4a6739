// The tile registers of AMX: 16 rows of 64 bytes, 32 bfloat16 or 16 float a row. Registers 0 to 3
// are for sums, 4 and 5 for left and right operands, 6 and 7 for operands of half the depth. Linux
// lets a process use them once it has asked (instruction_set.cpp).
#pragma once

#include "host/numbers.h"

#if defined(__AMX_BF16__) || defined(STNAS_EMULATED_TILES)
#define STNAS_HAS_TILES
#endif

namespace stnas::cpu::STNAS_ISA {

constexpr index kTileRows = 16;
constexpr index kTileDepth = 32;  // bfloat16 values in a row of a whole tile
constexpr index kTileStep = 16;   // and of a half

}  // namespace stnas::cpu::STNAS_ISA

#ifdef STNAS_EMULATED_TILES
#include "host/tests/emulated_tiles.h"
#else
namespace stnas::cpu::STNAS_ISA {

#ifdef STNAS_HAS_TILES
struct alignas(64) TileShapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
constexpr TileShapes kTileShapes{
    1, 0, {}, {64, 64, 64, 64, 64, 64, 32, 64}, {16, 16, 16, 16, 16, 16, 16, 8}};

// While it lives, this thread's tile registers have these shapes. Other libraries set theirs once
// and count on them, or free them, so every task has a scope of its own, which puts back what it
// found.
class TileScope {
 public:
  TileScope() {
    asm volatile("sttilecfg %0" : "=m"(before_)::"memory");
    asm volatile("ldtilecfg %0" ::"m"(kTileShapes) : "memory");
  }
  ~TileScope() {
    if (before_.palette)
      asm volatile("ldtilecfg %0" ::"m"(before_) : "memory");
    else
      asm volatile("tilerelease" ::: "memory");
  }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;

 private:
  TileShapes before_;
};

template <int Tile>
STNAS_INLINE void tile_zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(Tile) : "memory");
}

// All rows, which stand `step` bytes apart.
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

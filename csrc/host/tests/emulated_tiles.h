// Tile registers in memory, for processors without AMX and for the sanitizers: what
// tile_registers.h has, every access in plain sight. Outside a TileScope they abort, as the
// processor would.
#pragma once

#include <bit>
#include <cstdlib>
#include <cstring>

namespace stnas::cpu::STNAS_ISA {

struct TileRegister {
  unsigned char row[16][64];
};

struct TileRegisters {
  TileRegister tile[8];
  bool live = false;
};

inline TileRegisters& tile_registers() {
  static thread_local TileRegisters registers;
  return registers;
}

struct TileScope {
  TileScope() { tile_registers().live = true; }
  ~TileScope() { tile_registers().live = false; }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

template <int Tile>
TileRegister& tile_register() {
  if (!tile_registers().live) std::abort();
  return tile_registers().tile[Tile];
}

// Rows of a register, and bytes in a row.
constexpr index tile_rows(int tile) { return tile == 7 ? 8 : 16; }
constexpr size_t tile_bytes(int tile) { return tile == 6 ? 32 : 64; }

template <int Tile>
void tile_zero() {
  tile_register<Tile>() = {};
}

template <int Tile>
void tile_load(const void* from, index step) {
  auto& to = tile_register<Tile>();
  const auto* bytes = static_cast<const unsigned char*>(from);
  for (index i = 0; i < tile_rows(Tile); ++i)
    std::memcpy(to.row[i], bytes + i * step, tile_bytes(Tile));
}

template <int Tile>
void tile_store(float* to) {
  std::memcpy(to, tile_register<Tile>().row, sizeof(TileRegister));
}

template <int Sum, int Left, int Right>
void tile_multiply() {
  const auto value = [](const unsigned char* row, index k) {
    uint16_t bits;
    std::memcpy(&bits, row + 2 * k, sizeof bits);
    return std::bit_cast<float>(uint32_t{bits} << 16);
  };
  const auto &left = tile_register<Left>(), &right = tile_register<Right>();
  float sums[kTileRows][kBlock];
  tile_store<Sum>(sums[0]);
  for (index i = 0; i < kTileRows; ++i)
    for (index j = 0; j < kBlock; ++j)
      for (index k = 0; k < index(tile_bytes(Left) / 2); ++k)
        sums[i][j] += value(left.row[i], k) * value(right.row[k / 2], 2 * j + k % 2);
  tile_load<Sum>(sums, sizeof sums[0]);
}

}  // namespace stnas::cpu::STNAS_ISA

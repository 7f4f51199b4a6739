// Tile registers in memory, for processors without AMX and for the sanitizers: what
// tile_registers.h has, with the bounds of every access in plain sight. Set up by no TileScope, or
// after its end, they hold no numbers.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>

namespace stnas::cpu::STNAS_ISA {

struct Tiles {
  struct Tile {
    unsigned char row[16][64];
  };
  Tile tile[8];

  void spoil() { std::memset(static_cast<void*>(this), 0xff, sizeof *this); }
  static Tiles& mine() {
    static thread_local Tiles tiles = [] {
      Tiles fresh;
      fresh.spoil();
      return fresh;
    }();
    return tiles;
  }
};

struct TileScope {
  TileScope() { std::memset(static_cast<void*>(&Tiles::mine()), 0, sizeof(Tiles)); }
  ~TileScope() { Tiles::mine().spoil(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

template <int Tile>
void tile_zero() {
  // A tile that no scope has set up stays what it is.
  for (auto& row : Tiles::mine().tile[Tile].row) std::memset(row, 0, sizeof row);
}

template <int Tile>
void tile_load(const void* from, index step) {
  const auto* at = static_cast<const unsigned char*>(from);
  for (index i = 0; i < kTileRows; ++i)
    for (index k = 0; k < 64; ++k) Tiles::mine().tile[Tile].row[i][k] = at[i * step + k];
}

template <int Tile>
void tile_store(float* to) {
  for (index i = 0; i < kTileRows; ++i)
    std::memcpy(to + i * kBlock, Tiles::mine().tile[Tile].row[i], 64);
}

template <int Sum, int Left, int Right>
void tile_multiply() {
  const auto value = [](const unsigned char* row, index k) {
    uint16_t bits;
    std::memcpy(&bits, row + 2 * k, sizeof bits);
    return std::bit_cast<float>(uint32_t{bits} << 16);
  };
  auto& tiles = Tiles::mine().tile;
  for (index i = 0; i < kTileRows; ++i)
    for (index j = 0; j < kBlock; ++j) {
      float sum;
      unsigned char* to = tiles[Sum].row[i] + 4 * j;
      std::memcpy(&sum, to, sizeof sum);
      for (index k = 0; k < kTileDepth; ++k)
        sum += value(tiles[Left].row[i], k) * value(tiles[Right].row[k / 2], 2 * j + k % 2);
      std::memcpy(to, &sum, sizeof sum);
    }
}

}  // namespace stnas::cpu::STNAS_ISA

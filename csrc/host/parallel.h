// Work shared out among threads in pieces that depend on sizes alone.
#pragma once

#include "host/problem.h"
#include "host/simd.h"
#include "host/tile_registers.h"

namespace stnas::cpu::STNAS_ISA {

constexpr index kWorthWaking = 4096;  // vector operations, some microseconds of one thread

// task(i) for i in [0, count), on this thread alone where all of them together are not worth waking
// another. work: about how many vector operations they are.
template <class F>
void parallel(const Executor& executor, index count, index work, const F& task) {
  if (work < kWorthWaking) {
    const TileScope tiles;
    for (index i = 0; i < count; ++i) task(i);
    return;
  }
  executor.run(
      count,
      [](void* context, index i) {
        const TileScope tiles;
        (*static_cast<const F*>(context))(i);
      },
      const_cast<F*>(&task));
}

STNAS_INLINE index least(index a, index b) { return a < b ? a : b; }
STNAS_INLINE index most(index a, index b) { return a > b ? a : b; }

// Rows [begin, end).
struct Range {
  index begin, end;
  index count() const { return end - begin; }
};

// `count` rows in tiles, the tiles in chunks: functions of the sizes alone.
struct Tiles {
  index count, tile;
  index tiles = (count + tile - 1) / tile, chunks = least(64, tiles);

  // task(first row, rows, chunk) for every tile, those of a chunk in order on one thread. work:
  // vector operations of all.
  template <class Task>
  void for_each(const Executor& executor, index work, const Task& task) const {
    parallel(executor, chunks, work, [&](index chunk) {
      for (index t = chunk * tiles / chunks; t < (chunk + 1) * tiles / chunks; ++t)
        task(t * tile, least(tile, count - t * tile), chunk);
    });
  }
};

}  // namespace stnas::cpu::STNAS_ISA

// Tensor cores and the loads for them, as the PTX ISA describes their fragments. Products are added
// in the order of the depth, in float32; the device's own order and rounding differ.
#pragma once

#include <cstring>

#include "cusim/device.h"

namespace cusim {

// The low or high half of a register as float32.
inline float half_of(uint32_t word, int high) {
  return std::bit_cast<float>(high ? word & 0xffff0000u : word << 16);
}

// d += a b, mma.m16n8k16: lane 4 g + t holds of a [16, 16] the rows g and g + 8, of b [16, 8] the
// column g, of d [16, 8] the rows g and g + 8; columns of a and d, rows of b are 2 t and 2 t + 1,
// those of the second registers 8 later.
inline void multiply_matrices(float (&d)[4], const uint32_t (&a)[4], const uint32_t* b,
                              Site site = Site::current()) {
  struct Fragments {
    uint32_t a[4], b[2];
  };
  const Fragments own{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  Fragments all[32];
  exchange("mma.m16n8k16", kAllLanes, &own, sizeof own, all, site);
  const int g = int(lane()) / 4, t = int(lane()) % 4;
  for (int i = 0; i < 4; ++i) {
    const int column = 2 * t + i % 2;
    for (int k = 0; k < 16; ++k) {
      const int pair = k % 8 / 2, later = k / 8;
      const float left = half_of(all[4 * g + pair].a[2 * later + i / 2], k % 2);
      d[i] += left * half_of(all[4 * column + pair].b[later], k % 2);
    }
  }
}

// ldmatrix.x4: of each 8x8 matrix lane 4 g + t gets the values 2 t and 2 t + 1 of row g or, where
// transposed, of column g.
template <bool transposed>
void load_matrices(uint32_t (&to)[4], const void* row, Site site = Site::current()) {
  if (reinterpret_cast<uintptr_t>(row) % 16) fail("ldmatrix: a row is not aligned to 16 bytes");
  const void* rows[32];
  exchange("ldmatrix", kAllLanes, &row, sizeof row, rows, site);
  const unsigned g = lane() / 4, t = lane() % 4;
  for (unsigned j = 0; j < 4; ++j) {
    uint16_t pair[2];
    for (unsigned i = 0; i < 2; ++i) {
      const unsigned from = transposed ? 2 * t + i : g, at = transposed ? g : 2 * t + i;
      pair[i] = static_cast<const uint16_t*>(rows[8 * j + from])[at];
    }
    to[j] = pair[0] | uint32_t{pair[1]} << 16;
  }
}

inline uint16_t round_to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (value != value) return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace cusim

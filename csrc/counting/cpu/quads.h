// Genotypes as count_in_registers reads them: four genes of 16 rows in a register.
#pragma once

#include "counting/cpu/planes.h"

#ifdef STNAS_TARGET

namespace stnas {

constexpr std::int64_t kAhead = 4096;  // bytes that are fetched ahead of their use

// Turns 16 rows of 16 32-bit columns into 16 columns of 16 rows.
STNAS_INLINE_TARGET void transpose(__m512i (&r)[16]) {
  __m512i t[16];
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
  }
}

// Loads up to 64 genes of 16 rows and turns them into registers of four genes of every row.
STNAS_INLINE_TARGET void load_quads(const Genotypes& genotypes, std::int64_t row, std::int64_t gene,
                                    __mmask64 present, __m512i& largest, __m512i (&quads)[16]) {
  for (int i = 0; i < 16; ++i) {
    const std::int8_t* from = genotypes.row(row + i) + gene;
    _mm_prefetch(reinterpret_cast<const char*>(from) + kAhead, _MM_HINT_T0);
    quads[i] = _mm512_maskz_loadu_epi8(present, from);
    largest = _mm512_max_epu8(largest, quads[i]);
  }
  transpose(quads);
}

}  // namespace stnas

#endif

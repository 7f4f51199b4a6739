// The table of costs as count_in_registers reads it.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/counting_paths.h"

#define STNAS_TARGET __attribute__((target("avx512f,avx512bw,avx512vbmi,avx512vnni")))
#define STNAS_INLINE_TARGET inline __attribute__((always_inline)) STNAS_TARGET

namespace stnas {

constexpr std::int64_t kMostChoices = 128;  // no int8 names more

// The entries above the smallest of their gene, cut into bytes. The genes go by four, each with
// room for `width` choices, 16, 32, 64 or 128: byte b of entry c of gene 4 q + k stands at
// [q][b][width k + c].
struct Planes {
  STNAS_TARGET explicit Planes(Table table)
      : choices(std::min(table.columns, kMostChoices)), quads((table.rows + 3) / 4) {
    while (width < choices) width *= 2;
    std::vector<std::int64_t> least;
    std::uint64_t widest = 0;
    for (std::int64_t gene = 0; gene < table.rows; ++gene) {
      __m512i low = _mm512_set1_epi64(table.row(gene)[0]), high = low;
      for (std::int64_t choice = 0; choice < choices; choice += 8) {
        const __mmask8 present = present_from(choice);
        const __m512i values = _mm512_maskz_loadu_epi64(present, table.row(gene) + choice);
        low = _mm512_mask_min_epi64(low, present, low, values);
        high = _mm512_mask_max_epi64(high, present, high, values);
      }
      least.push_back(_mm512_reduce_min_epi64(low));
      base += least.back();
      widest |= static_cast<std::uint64_t>(_mm512_reduce_max_epi64(high)) -
                static_cast<std::uint64_t>(least.back());
    }
    for (; widest > 0; widest >>= 8) ++bytes;
    values.resize(static_cast<std::size_t>(quads * std::max<std::int64_t>(bytes, 1) * 4 * width));
    for (std::int64_t gene = 0; gene < table.rows; ++gene) {
      fill(table.row(gene), least[static_cast<std::size_t>(gene)], gene);
    }
  }

  STNAS_TARGET void fill(const std::int64_t* row, std::int64_t least, std::int64_t gene) {
    std::uint8_t* to = values.data() + gene / 4 * bytes * 4 * width + gene % 4 * width;
    for (std::int64_t choice = 0; choice < choices; choice += 8) {
      const __mmask8 present = present_from(choice);
      __m512i rest = _mm512_maskz_loadu_epi64(present, row + choice);
      rest = _mm512_sub_epi64(rest, _mm512_set1_epi64(least));
      for (std::int64_t byte = 0; byte < bytes; ++byte) {
        _mm512_mask_cvtepi64_storeu_epi8(to + byte * 4 * width + choice, present, rest);
        rest = _mm512_srli_epi64(rest, 8);
      }
    }
  }

  // Which of the eight entries from this one on there are.
  __mmask8 present_from(std::int64_t choice) const {
    return static_cast<__mmask8>(0xff >> (8 - std::min<std::int64_t>(8, choices - choice)));
  }

  std::int64_t choices, quads;
  std::int64_t width = 16;
  std::int64_t bytes = 0;
  std::int64_t base = 0;
  std::vector<std::uint8_t> values;
};

}  // namespace stnas

#endif

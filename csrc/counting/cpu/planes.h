// The table of costs as count_in_registers reads it.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "counting/cpu/paths.h"

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
    std::vector<std::int64_t> least(static_cast<std::size_t>(table.rows));
    __m512i above = _mm512_setzero_si512();  // every bit that an entry has above the smallest one
    for (std::int64_t gene = 0; gene < table.rows; ++gene) {
      const std::int64_t* row = table.row(gene);
      __m512i low = _mm512_set1_epi64(row[0]);
      for (std::int64_t choice = 0; choice < choices; choice += 8) {
        low = _mm512_mask_min_epi64(low, present_from(choice), low, load(row, choice));
      }
      const std::int64_t smallest = _mm512_reduce_min_epi64(low);
      for (std::int64_t choice = 0; choice < choices; choice += 8) {
        above = _mm512_or_si512(above, load_above(row, choice, smallest));
      }
      least[static_cast<std::size_t>(gene)] = smallest;
      base += smallest;
    }
    auto widest = static_cast<std::uint64_t>(_mm512_reduce_or_epi64(above));
    for (; widest > 0; widest >>= 8) ++bytes;
    values.resize(static_cast<std::size_t>(quads * std::max<std::int64_t>(bytes, 1) * 4 * width));
    for (std::int64_t gene = 0; gene < table.rows; ++gene) {
      fill(table.row(gene), least[static_cast<std::size_t>(gene)], gene);
    }
  }

  // Writes 16 bytes at once, since masked stores are slow.
  STNAS_TARGET void fill(const std::int64_t* row, std::int64_t least, std::int64_t gene) {
    std::uint8_t* to = values.data() + gene / 4 * bytes * 4 * width + gene % 4 * width;
    for (std::int64_t choice = 0; choice < choices; choice += 16) {
      __m512i first = load_above(row, choice, least), second = load_above(row, choice + 8, least);
      for (std::int64_t byte = 0; byte < bytes; ++byte) {
        const __m128i both =
            _mm_unpacklo_epi64(_mm512_cvtepi64_epi8(first), _mm512_cvtepi64_epi8(second));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + byte * 4 * width + choice), both);
        first = _mm512_srli_epi64(first, 8);
        second = _mm512_srli_epi64(second, 8);
      }
    }
  }

  // Eight entries from this one on, 0 where there are none.
  STNAS_INLINE_TARGET __m512i load(const std::int64_t* row, std::int64_t choice) const {
    return _mm512_maskz_loadu_epi64(present_from(choice), row + choice);
  }
  STNAS_INLINE_TARGET __m512i load_above(const std::int64_t* row, std::int64_t choice,
                                         std::int64_t least) const {
    return _mm512_maskz_sub_epi64(present_from(choice), load(row, choice),
                                  _mm512_set1_epi64(least));
  }

  // Which of the eight entries from this one on there are.
  __mmask8 present_from(std::int64_t choice) const {
    const auto count = std::clamp<std::int64_t>(choices - choice, 0, 8);
    return static_cast<__mmask8>(0xff >> (8 - count));
  }

  std::int64_t choices, quads;
  std::int64_t width = 16;
  std::int64_t bytes = 0;
  std::int64_t base = 0;
  std::vector<std::uint8_t> values;
};

}  // namespace stnas

#endif

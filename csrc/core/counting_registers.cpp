#include <algorithm>
#include <vector>

#include "core/counting_paths.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define STNAS_TARGET __attribute__((target("avx512f,avx512bw,avx512vbmi,avx512vnni")))
#define STNAS_INLINE_TARGET inline __attribute__((always_inline)) STNAS_TARGET
#endif

namespace stnas {

#ifdef STNAS_TARGET
namespace {

constexpr std::int64_t kRows = 16;
constexpr std::int64_t kChoices = 16;
constexpr std::int64_t kChunk = 64;         // genes in a register
constexpr std::int64_t kAhead = 4096;       // bytes that are fetched ahead of their use
constexpr std::int64_t kMostGenes = 1 << 20;  // keeps every sum of bytes in 32 bits

// The entries above the smallest of their gene, cut into bytes. The genes go by four: byte b of
// entry c of gene 4 q + k stands at [q][b][16 k + c].
struct Planes {
  explicit Planes(Table table) : quads((table.rows + 3) / 4) {
    std::uint64_t widest = 0;
    for (std::int64_t gene = 0; gene < table.rows; ++gene) {
      const auto [low, high] = std::minmax_element(table.row(gene), table.row(gene + 1));
      least.push_back(*low);
      base += *low;
      widest |= static_cast<std::uint64_t>(*high) - static_cast<std::uint64_t>(*low);
    }
    for (; widest > 0; widest >>= 8) ++bytes;
    values.resize(static_cast<std::size_t>(quads * bytes * 64));
    for (std::int64_t gene = 0; gene < table.rows; ++gene) fill(table, gene);
  }

  void fill(Table table, std::int64_t gene) {
    for (std::int64_t choice = 0; choice < table.columns; ++choice) {
      std::uint64_t rest = static_cast<std::uint64_t>(table.row(gene)[choice]) -
                           static_cast<std::uint64_t>(least[static_cast<std::size_t>(gene)]);
      for (std::int64_t byte = 0; byte < bytes; ++byte, rest >>= 8) {
        const std::int64_t at = (gene / 4 * bytes + byte) * 64 + gene % 4 * kChoices + choice;
        values[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(rest);
      }
    }
  }

  std::int64_t quads;
  std::int64_t bytes = 0;
  std::int64_t base = 0;
  std::vector<std::int64_t> least;
  std::vector<std::uint8_t> values;
};

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

// Counts 16 rows; returns the largest gene seen in each byte.
template <int bytes>
STNAS_INLINE_TARGET __m512i count_block(Genotypes genotypes, std::int64_t row,
                                        const Planes& planes, std::int64_t* counts) {
  const __m512i ones = _mm512_set1_epi8(1);
  const __m512i places = _mm512_set1_epi32(0x30201000);
  __m512i largest = _mm512_setzero_si512();
  __m512i sums[bytes];
  for (auto& sum : sums) sum = _mm512_setzero_si512();
  const std::uint8_t* plane = planes.values.data();
  for (std::int64_t gene = 0; gene < genotypes.columns; gene += kChunk) {
    const std::int64_t genes = std::min(kChunk, genotypes.columns - gene);
    const __mmask64 present = ~__mmask64{0} >> (kChunk - genes);
    __m512i quads[16];
    for (int i = 0; i < 16; ++i) {
      const std::int8_t* from = genotypes.row(row + i) + gene;
      _mm_prefetch(reinterpret_cast<const char*>(from) + kAhead, _MM_HINT_T0);
      quads[i] = _mm512_maskz_loadu_epi8(present, from);
      largest = _mm512_max_epu8(largest, quads[i]);
    }
    transpose(quads);
    for (std::int64_t quad = 0; quad < (genes + 3) / 4; ++quad) {
      const __m512i index = _mm512_or_si512(quads[quad], places);
      for (int byte = 0; byte < bytes; ++byte, plane += 64) {
        const __m512i found = _mm512_permutexvar_epi8(index, _mm512_loadu_si512(plane));
        sums[byte] = _mm512_dpbusd_epi32(sums[byte], found, ones);
      }
    }
  }
  for (int half = 0; half < 2; ++half) {
    __m512i total = _mm512_set1_epi64(planes.base);
    for (int byte = 0; byte < bytes; ++byte) {
      const __m256i part = half ? _mm512_extracti64x4_epi64(sums[byte], 1)
                                : _mm512_castsi512_si256(sums[byte]);
      const auto wide = _mm512_cvtepu32_epi64(part);
      total = _mm512_add_epi64(total, _mm512_slli_epi64(wide, static_cast<unsigned>(8 * byte)));
    }
    _mm512_storeu_si512(counts + 8 * half, total);
  }
  return largest;
}

template <int bytes>
STNAS_TARGET bool count_blocks(Genotypes genotypes, const Planes& planes, std::int64_t choices,
                               std::int64_t* counts) {
  __m512i largest = _mm512_setzero_si512();
  for (std::int64_t row = 0; row < genotypes.rows; row += kRows) {
    const __m512i found = count_block<bytes>(genotypes, row, planes, counts + row);
    largest = _mm512_max_epu8(largest, found);
  }
  const auto last = _mm512_set1_epi8(static_cast<char>(choices - 1));
  return _mm512_cmpgt_epu8_mask(largest, last) == 0;
}

bool supported() {
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi") &&
         __builtin_cpu_supports("avx512vnni");
}

}  // namespace

bool count_in_registers(Genotypes genotypes, Table table, Counts counts) {
  const std::int64_t whole = genotypes.rows / kRows * kRows;
  if (whole == 0 || table.rows == 0 || table.rows > kMostGenes || table.columns < 1 ||
      table.columns > kChoices || !supported()) {
    return false;
  }
  using Work = bool (*)(Genotypes, const Planes&, std::int64_t, std::int64_t*);
  constexpr Work kWork[] = {count_blocks<1>, count_blocks<1>, count_blocks<2>,
                            count_blocks<3>, count_blocks<4>, count_blocks<5>,
                            count_blocks<6>, count_blocks<7>, count_blocks<8>};
  Planes planes(table);
  if (planes.bytes == 0) planes.values.resize(static_cast<std::size_t>(planes.quads * 64));
  const Genotypes blocks{genotypes.data, whole, genotypes.columns};
  const Genotypes rest{genotypes.row(whole), genotypes.rows - whole, genotypes.columns};
  return kWork[planes.bytes](blocks, planes, table.columns, counts.data()) &&
         count_by_genes(rest, table, counts.subspan(static_cast<std::size_t>(whole)));
}

#else

bool count_in_registers(Genotypes, Table, Counts) { return false; }

#endif

}  // namespace stnas

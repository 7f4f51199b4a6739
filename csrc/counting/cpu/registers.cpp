#include <algorithm>
#include <optional>
#include <vector>

#include "counting/cpu/paths.h"
#include "counting/cpu/planes.h"
#include "counting/cpu/quads.h"

namespace stnas {

#ifdef STNAS_TARGET
namespace {

constexpr std::int64_t kRows = 16;
constexpr std::int64_t kChunk = 64;           // genes in a register
constexpr std::int64_t kMostGenes = 1 << 20;  // keeps every sum of bytes in 32 bits
constexpr std::int64_t kMostKept = 1 << 12;   // entries of a table that is kept

// Adds the bytes that four genes of 16 rows find in a plane of 4 `width` entries: a register of 64
// for 16 choices, else one or more of 128, of which each serves the genes that it holds.
template <int width>
STNAS_INLINE_TARGET __m512i add_found(__m512i sum, __m512i genes, const std::uint8_t* plane) {
  constexpr int kPlaces = width == 16   ? 0x30201000
                          : width == 32 ? 0x60402000
                          : width == 64 ? 0x40004000
                                        : 0;
  __m512i found = _mm512_or_si512(genes, _mm512_set1_epi32(kPlaces));
  constexpr int kParts = width / 32;
  constexpr __mmask64 kServed = kParts < 2    ? ~__mmask64{0}
                                : kParts == 2 ? 0x3333333333333333
                                              : 0x1111111111111111;
  if constexpr (width == 16) {
    found = _mm512_permutexvar_epi8(found, _mm512_loadu_si512(plane));
  }
  // A part leaves the genes that it does not serve as they are, for the next one.
  for (int part = 0; part < kParts; ++part, plane += 128) {
    found = _mm512_mask2_permutex2var_epi8(_mm512_loadu_si512(plane), found,
                                           kServed << (4 / kParts * part),
                                           _mm512_loadu_si512(plane + 64));
  }
  return _mm512_dpbusd_epi32(sum, found, _mm512_set1_epi8(1));
}

// Adds up the bytes of 16 rows.
template <int bytes>
STNAS_INLINE_TARGET void join_bytes(const __m512i (&sums)[bytes], std::int64_t base,
                                    std::int64_t* counts) {
  for (int half = 0; half < 2; ++half) {
    __m512i total = _mm512_set1_epi64(base);
    for (int byte = 0; byte < bytes; ++byte) {
      const __m256i part =
          half ? _mm512_extracti64x4_epi64(sums[byte], 1) : _mm512_castsi512_si256(sums[byte]);
      const auto wide = _mm512_cvtepu32_epi64(part);
      total = _mm512_add_epi64(total, _mm512_slli_epi64(wide, static_cast<unsigned>(8 * byte)));
    }
    _mm512_storeu_si512(counts + 8 * half, total);
  }
}

// Counts 16 rows a block, so that a plane that was loaded serves all of them; returns the largest
// gene seen in each byte.
template <int width, int bytes, int blocks>
STNAS_INLINE_TARGET __m512i count_block(Genotypes genotypes, std::int64_t row, const Planes& planes,
                                        std::int64_t* counts) {
  __m512i largest = _mm512_setzero_si512();
  __m512i sums[blocks][bytes];
  for (auto& block : sums) {
    for (auto& sum : block) sum = _mm512_setzero_si512();
  }
  const std::uint8_t* plane = planes.values.data();
  for (std::int64_t gene = 0; gene < genotypes.columns; gene += kChunk) {
    const std::int64_t genes = std::min(kChunk, genotypes.columns - gene);
    const __mmask64 present = ~__mmask64{0} >> (kChunk - genes);
    __m512i quads[blocks][16];
    for (int block = 0; block < blocks; ++block) {
      load_quads(genotypes, row + kRows * block, gene, present, largest, quads[block]);
    }
    for (std::int64_t quad = 0; quad < (genes + 3) / 4; ++quad) {
      for (int byte = 0; byte < bytes; ++byte, plane += 4 * width) {
        for (int block = 0; block < blocks; ++block) {
          sums[block][byte] = add_found<width>(sums[block][byte], quads[block][quad], plane);
        }
      }
    }
  }
  for (int block = 0; block < blocks; ++block) {
    join_bytes(sums[block], planes.base, counts + kRows * block);
  }
  return largest;
}

// Counts all rows, at least 16; the last block may count some of the one before it once more.
template <int width, int bytes>
STNAS_TARGET bool count_blocks(Genotypes genotypes, const Planes& planes, std::int64_t* counts) {
  constexpr int kTogether = width < 64 ? 1 : 4;  // blocks, where the planes fill the L1 cache
  __m512i largest = _mm512_setzero_si512();
  std::int64_t next = 0;
  for (; kTogether > 1 && next + kTogether * kRows <= genotypes.rows; next += kTogether * kRows) {
    const auto found = count_block<width, bytes, kTogether>(genotypes, next, planes, counts + next);
    largest = _mm512_max_epu8(largest, found);
  }
  for (; next < genotypes.rows; next += kRows) {
    const std::int64_t row = std::min(next, genotypes.rows - kRows);
    const __m512i found = count_block<width, bytes, 1>(genotypes, row, planes, counts + row);
    largest = _mm512_max_epu8(largest, found);
  }
  const auto last = _mm512_set1_epi8(static_cast<char>(planes.choices - 1));
  return _mm512_cmpgt_epu8_mask(largest, last) == 0;
}

using Work = bool (*)(Genotypes, const Planes&, std::int64_t*);

template <int width>
Work choose(std::int64_t bytes) {
  constexpr Work kWork[] = {count_blocks<width, 1>, count_blocks<width, 1>, count_blocks<width, 2>,
                            count_blocks<width, 3>, count_blocks<width, 4>, count_blocks<width, 5>,
                            count_blocks<width, 6>, count_blocks<width, 7>, count_blocks<width, 8>};
  return kWork[bytes];
}

Work choose(std::int64_t width, std::int64_t bytes) {
  if (width == 16) return choose<16>(bytes);
  if (width == 32) return choose<32>(bytes);
  return width == 64 ? choose<64>(bytes) : choose<128>(bytes);
}

bool count_with(const Planes& planes, Genotypes genotypes, Counts counts) {
  return choose(planes.width, planes.bytes)(genotypes, planes, counts.data());
}

// Returns the planes of a short table, those of this thread's last call where the entries are the
// same: a search counts few architectures at a time, with one table.
const Planes& short_planes(Table table) {
  struct Kept {
    explicit Kept(Table from)
        : entries(from.data, from.row(from.rows)), rows(from.rows), planes(from) {}
    std::vector<std::int64_t> entries;
    std::int64_t rows;
    Planes planes;
  };
  thread_local std::optional<Kept> kept;
  const bool same =
      kept && kept->rows == table.rows &&
      std::equal(table.data, table.row(table.rows), kept->entries.begin(), kept->entries.end());
  if (!same) kept.emplace(table);
  return kept->planes;
}

bool supported() {
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi") &&
         __builtin_cpu_supports("avx512vnni");
}

}  // namespace

bool count_in_registers(Genotypes genotypes, Table table, Counts counts) {
  if (genotypes.rows < kRows || table.rows == 0 || table.rows > kMostGenes || table.columns < 1 ||
      !supported()) {
    return false;
  }
  if (table.rows * table.columns > kMostKept) return count_with(Planes(table), genotypes, counts);
  return count_with(short_planes(table), genotypes, counts);
}

#else

bool count_in_registers(Genotypes, Table, Counts) { return false; }

#endif

}  // namespace stnas

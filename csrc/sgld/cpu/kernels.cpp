// The kernels for one instruction set. Compiled once per set, with its flags and -DSTNAS_ISA=<its
// name>.
#include "host/table.h"
#include "sgld/cpu/normal.h"

#ifndef __AVX512BF16__  // whose kernels are those of avx512

namespace stnas::sgld::STNAS_ISA {
namespace {

constexpr int64_t kHalf = kGroup / 2;

// Not the library's: a copy of theirs with these instructions could serve other code.
STNAS_INLINE constexpr int64_t smaller(int64_t a, int64_t b) { return b < a ? b : a; }
STNAS_INLINE void copy(const float* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
}

// The normals from element `at` of a group on, and those half a group on: the first half of a group
// comes from the cosines of 32 blocks, the second from their sines.
STNAS_INLINE Pair<Registers> normals(const Philox& philox, int64_t group, int64_t at) {
  return normal(philox, uint32_t((group * kHalf + at) / 2));
}

STNAS_INLINE void fill_group(const Philox& philox, int64_t group, float* to) {
  for (int64_t at = 0; at < kHalf; at += kNormals) {
    const auto z = normals(philox, group, at);
    store(to + at, z.cosine);
    store(to + kHalf + at, z.sine);
  }
}

template <class T>
struct Factors {
  T lr, weight_decay, noise;
};

// V is a batch of floats or a double, z its normals.
template <bool noise, class T, class V>
STNAS_INLINE void move(V& w, const V& g, const V& z, const Factors<T>& by) {
  w = w - (g + w * by.weight_decay) * by.lr;
  if constexpr (noise) w = w + z * by.noise;
}

template <bool noise>
STNAS_INLINE void move_batch(float* w, const float* g, const Batch<Float>& z,
                             const Factors<float>& by) {
  Batch<Float> value = load(w);
  move<noise>(value, load(g), z, by);
  store(w, value);
}

template <bool noise>
STNAS_INLINE void move_group(float* w, const float* g, const Philox& philox, int64_t group,
                             const Factors<float>& by) {
  for (int64_t at = 0; at < kHalf; at += kNormals) {
    Pair<Registers> z{};
    if constexpr (noise) z = normals(philox, group, at);
    move_batch<noise>(w + at, g + at, z.cosine, by);
    move_batch<noise>(w + at + kHalf, g + at + kHalf, z.sine, by);
  }
}

template <bool noise>
void update(const Target<float>& to, const Philox& philox, const Factors<float>& by, int64_t begin,
            int64_t end) {
  const int64_t whole = smaller(end, to.elements / kGroup);
  for (int64_t group = begin; group < whole; ++group)
    move_group<noise>(to.param + group * kGroup, to.grad + group * kGroup, philox, group, by);
  if (whole == end) return;
  const int64_t at = whole * kGroup, rest = to.elements - at;
  float w[kGroup] = {}, g[kGroup] = {};
  copy(to.param + at, rest, w);
  copy(to.grad + at, rest, g);
  move_group<noise>(w, g, philox, whole, by);
  copy(w, rest, to.param + at);
}

template <bool noise>
void update(const Target<double>& to, const Philox& philox, const Factors<double>& by,
            int64_t begin, int64_t end) {
  float z[kGroup] = {};
  for (int64_t group = begin; group < end; ++group) {
    if constexpr (noise) fill_group(philox, group, z);
    const int64_t at = group * kGroup, count = smaller(kGroup, to.elements - at);
    for (int64_t k = 0; k < count; ++k)
      move<noise>(to.param[at + k], to.grad[at + k], double(z[k]), by);
  }
}

template <class T>
void update_any(const Target<T>& to, const Rule& rule, int64_t begin, int64_t end) {
  const Philox philox({rule.seed, rule.step, to.id});
  const Factors<T> by{T(rule.lr), T(rule.weight_decay), T(to.noise)};
  to.noise != 0 ? update<true>(to, philox, by, begin, end)
                : update<false>(to, philox, by, begin, end);
}

// Puts x0 x1 of every block before its x2 x3.
STNAS_INLINE void store_words(const Bits& bits, uint32_t* out) {
  Wide low, high;
  for (uint64_t i = 0; i < kLanes / 2; ++i) {
    low[i] = i % 2 * (kLanes / 2) + i / 2;
    high[i] = low[i] + kLanes / 4;
  }
  STNAS_EACH_PART {
    const Wide first = (Wide)bits.first.part[p], second = (Wide)bits.second.part[p];
    Loose* const to = reinterpret_cast<Loose*>(out) + 2 * p;
    to[0] = (Float)__builtin_shuffle(first, second, low);
    to[1] = (Float)__builtin_shuffle(first, second, high);
  }
}

void words(const Stream& stream, uint32_t block, int64_t count, uint32_t* out) {
  constexpr int64_t kStored = 4 * kBlocks;
  const Philox philox(stream);
  for (; count >= kStored; count -= kStored, out += kStored, block += kBlocks) {
    store_words(philox.words(block), out);
  }
  uint32_t last[kStored];
  store_words(philox.words(block), last);
  for (int64_t k = 0; k < count; ++k) out[k] = last[k];
}

void normal_numbers(const Stream& stream, int64_t group, int64_t count, float* out) {
  const Philox philox(stream);
  for (; count >= kGroup; count -= kGroup, out += kGroup, ++group) {
    fill_group(philox, group, out);
  }
  float z[kGroup];
  if (count > 0) fill_group(philox, group, z);
  copy(z, count, out);
}

}  // namespace

}  // namespace stnas::sgld::STNAS_ISA

namespace stnas::cpu::STNAS_ISA {

template <>
const sgld::Kernels& table() {
  using namespace sgld::STNAS_ISA;
  static constexpr sgld::Kernels kernels{update_any<float>, update_any<double>, words,
                                         normal_numbers};
  return kernels;
}

}  // namespace stnas::cpu::STNAS_ISA

#endif

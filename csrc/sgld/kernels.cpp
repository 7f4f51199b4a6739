// The kernels for one instruction set. Compiled once per set, with its flags and -DSTNAS_ISA=<its name>.
#include "normal.h"

namespace stnas::sgld::STNAS_ISA {
namespace {

constexpr int64_t kHalf = kGroup / 2;

using Loose = float __attribute__((vector_size(kBytes), aligned(4), may_alias));

STNAS_INLINE Float load(const float* from) { return *reinterpret_cast<const Loose*>(from); }
STNAS_INLINE void store(float* to, Float value) { *reinterpret_cast<Loose*>(to) = value; }

// Not the library's: a copy of theirs with these instructions could serve other code.
STNAS_INLINE constexpr int64_t smaller(int64_t a, int64_t b) { return b < a ? b : a; }
STNAS_INLINE void copy(const float* from, int64_t count, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
}

// use(k, z) for k = 0, kLanes, ...: the normals of elements k, k + 1, ... of a group. Its first half
// comes from the cosines of 32 blocks, its second from their sines.
template <class Use>
STNAS_INLINE void each_normal(const Philox& philox, int64_t group, const Use& use) {
  for (int64_t at = 0; at < kHalf; at += kParts * kLanes) {
    const Pair<Registers> z = normal(philox, uint32_t((group * kHalf + at) / 2));
    STNAS_EACH_PART use(at + p * kLanes, z.cosine.part[p]);
    STNAS_EACH_PART use(kHalf + at + p * kLanes, z.sine.part[p]);
  }
}

template <class T>
struct Factors {
  T lr, weight_decay, noise, mean_count;
};

// V is a register of floats or a double, z its normals.
template <bool noise, bool mean, class T, class V>
STNAS_INLINE void move(V& w, V g, V& m, V z, const Factors<T>& by) {
  w = w - (g + w * by.weight_decay) * by.lr;
  if constexpr (noise) w = w + z * by.noise;
  if constexpr (mean) m = m + (w - m) / by.mean_count;
}

template <bool noise, bool mean>
STNAS_INLINE void move_group(float* w, const float* g, float* m, const Philox& philox,
                             int64_t group, const Factors<float>& by) {
  const auto use = [&](int64_t k, Float z) {
    Float value = load(w + k), average = mean ? load(m + k) : Float{};
    move<noise, mean>(value, load(g + k), average, z, by);
    store(w + k, value);
    if constexpr (mean) store(m + k, average);
  };
  if constexpr (noise) return each_normal(philox, group, use);
  for (int64_t k = 0; k < kGroup; k += kLanes) use(k, Float{});
}

template <bool noise, bool mean>
void update(const Target<float>& to, const Philox& philox, const Factors<float>& by, int64_t begin,
            int64_t end) {
  const int64_t whole = smaller(end, to.elements / kGroup);
  for (int64_t group = begin; group < whole; ++group) {
    const int64_t at = group * kGroup;
    move_group<noise, mean>(to.param + at, to.grad + at, mean ? to.mean + at : nullptr, philox,
                            group, by);
  }
  if (whole == end) return;
  const int64_t at = whole * kGroup, rest = to.elements - at;
  float w[kGroup] = {}, g[kGroup] = {}, m[kGroup] = {};
  copy(to.param + at, rest, w);
  copy(to.grad + at, rest, g);
  if constexpr (mean) copy(to.mean + at, rest, m);
  move_group<noise, mean>(w, g, m, philox, whole, by);
  copy(w, rest, to.param + at);
  if constexpr (mean) copy(m, rest, to.mean + at);
}

template <bool noise, bool mean>
void update(const Target<double>& to, const Philox& philox, const Factors<double>& by,
            int64_t begin, int64_t end) {
  float z[kGroup] = {};
  for (int64_t group = begin; group < end; ++group) {
    if constexpr (noise) each_normal(philox, group, [&](int64_t k, Float v) { store(z + k, v); });
    const int64_t at = group * kGroup, count = smaller(kGroup, to.elements - at);
    for (int64_t k = 0; k < count; ++k) {
      double unused = 0;
      double& average = mean ? to.mean[at + k] : unused;
      move<noise, mean>(to.param[at + k], to.grad[at + k], average, double(z[k]), by);
    }
  }
}

template <class T>
void update_any(const Target<T>& to, const Rule& rule, int64_t begin, int64_t end) {
  const Philox philox({rule.seed, rule.step, to.id});
  const Factors<T> by{T(rule.lr), T(rule.weight_decay), T(to.noise), T(rule.mean_count)};
  if (to.noise != 0) {
    to.mean ? update<true, true>(to, philox, by, begin, end)
            : update<true, false>(to, philox, by, begin, end);
  } else {
    to.mean ? update<false, true>(to, philox, by, begin, end)
            : update<false, false>(to, philox, by, begin, end);
  }
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
    store((float*)out + 2 * p * kLanes, (Float)__builtin_shuffle(first, second, low));
    store((float*)out + (2 * p + 1) * kLanes, (Float)__builtin_shuffle(first, second, high));
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
    each_normal(philox, group, [&](int64_t k, Float z) { store(out + k, z); });
  }
  float z[kGroup];
  if (count > 0) each_normal(philox, group, [&](int64_t k, Float v) { store(z + k, v); });
  copy(z, count, out);
}

}  // namespace

const Kernels& table() {
  static constexpr Kernels kernels{update_any<float>, update_any<double>, words, normal_numbers};
  return kernels;
}

}  // namespace stnas::sgld::STNAS_ISA

#include "sgld/step.h"

#include <algorithm>
#include <cmath>

namespace stnas::sgld {
namespace {

constexpr int64_t kGrain = 256;      // groups: some 15 microseconds of noise
constexpr int64_t kChunk = 1 << 12;  // elements that are added up before their sum joins the total

template <class T>
struct Work {
  const std::vector<Target<T>>& targets;
  const Rule& rule;
  Update<T> update;
  std::vector<int64_t> first;  // groups before each target, and in all
};

// Updates groups [begin, end) of all targets laid end to end.
template <class T>
void run(void* context, int64_t begin, int64_t end) {
  const auto& work = *static_cast<const Work<T>*>(context);
  const auto after = std::upper_bound(work.first.begin(), work.first.end(), begin);
  auto at = static_cast<size_t>(after - work.first.begin()) - 1;
  for (; at < work.targets.size() && work.first[at] < end; ++at) {
    const int64_t from = std::max(begin, work.first[at]) - work.first[at];
    const int64_t to = std::min(end, work.first[at + 1]) - work.first[at];
    if (from < to) work.update(work.targets[at], work.rule, from, to);
  }
}

template <class T>
double sum_squares(const T* values, int64_t elements) {
  double lane[8] = {};
  int64_t i = 0;
  for (; i + 8 <= elements; i += 8) {
    for (int k = 0; k < 8; ++k) {
      const auto value = static_cast<double>(values[i + k]);
      lane[k] += value * value;
    }
  }
  for (int k = 0; i < elements; ++i, ++k) {
    const auto value = static_cast<double>(values[i]);
    lane[k] += value * value;
  }
  return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

}  // namespace

template <class T>
void step(const std::vector<Target<T>>& targets, const Rule& rule, const Kernels& kernels,
          Executor executor) {
  Work<T> work{targets, rule, nullptr, {0}};
  if constexpr (sizeof(T) == 4) {
    work.update = kernels.update_float;
  } else {
    work.update = kernels.update_double;
  }
  work.first.reserve(targets.size() + 1);
  for (const auto& target : targets) {
    work.first.push_back(work.first.back() + count_groups(target.elements));
  }
  if (work.first.back() > 0) executor.run(work.first.back(), kGrain, run<T>, &work);
}

template <class T>
double root_mean_square(const T* values, int64_t elements) {
  if (elements == 0) return 0;
  double total = 0;
  for (int64_t begin = 0; begin < elements; begin += kChunk) {
    total += sum_squares(values + begin, std::min(kChunk, elements - begin));
  }
  return std::sqrt(total / static_cast<double>(elements));
}

template void step(const std::vector<Target<float>>&, const Rule&, const Kernels&, Executor);
template void step(const std::vector<Target<double>>&, const Rule&, const Kernels&, Executor);
template double root_mean_square(const float*, int64_t);
template double root_mean_square(const double*, int64_t);

}  // namespace stnas::sgld

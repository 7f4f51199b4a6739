// Running statistics of the three BN.
#pragma once

#include "bottleneck/problem.h"

namespace stnas::cpu {

// running += momentum (batch - running), where the batch's variance is the unbiased one.
template <class T>
void move_running(const Shape& s, const T* statistics, T* const (&mean)[3], T* const (&var)[3],
                  double momentum) {
  const double inner = double(s.images * s.pixels()), outer = double(s.images * s.out_pixels());
  const T* batch = statistics;
  for (int i = 0; i < 3; ++i) {
    const index channels = i < 2 ? s.hidden : s.out;
    const double count = i ? outer : inner;
    for (index c = 0; c < channels; ++c) {
      const double unbiased = double(batch[channels + c]) * count / (count - 1);
      mean[i][c] = T(double(mean[i][c]) * (1 - momentum) + double(batch[c]) * momentum);
      var[i][c] = T(double(var[i][c]) * (1 - momentum) + unbiased * momentum);
    }
    batch += 2 * channels;
  }
}

}  // namespace stnas::cpu

// The shuffle block as its definition says, in double, one loop after the other.
#pragma once

#include "host/tests/values.h"
#include "shuffle/problem.h"

namespace stnas::cpu::test {

// A convolution with weight and bias of its BN, and running statistics.
struct NaiveLayer {
  index in, out, kernel, stride, height, width;
  Values weight, scale, shift, mean, var;

  index out_height() const { return (height + stride - 1) / stride; }
  index out_width() const { return (width + stride - 1) / stride; }
};

struct NaiveBlock {
  index images, height, width, channels;
  Values x;
  std::vector<NaiveLayer> heads[2];  // the second may be empty

  index read() const { return heads[1].empty() ? channels / 2 : channels; }
  index target() const { return heads[1].empty() ? channels / 2 : heads[1].back().out; }
  index out() const { return target() + heads[0].back().out; }
  index out_values() const {
    const NaiveLayer& last = heads[0].back();
    return images * last.out_height() * last.out_width() * out();
  }
  std::vector<Values*> parameters() {
    std::vector<Values*> found{&x};
    for (auto& head : heads)
      for (auto& layer : head)
        for (Values* part : {&layer.weight, &layer.scale, &layer.shift}) found.push_back(part);
    return found;
  }
};

// Rows [images, height, width, in] through a convolution.
inline Values convolve(const NaiveLayer& l, index images, const Values& rows) {
  const index high = l.out_height(), wide = l.out_width(), pad = l.kernel / 2;
  Values out(size_t(images * high * wide * l.out));
  const auto at = [&](index n, index y, index x, index c) {
    return rows[size_t(((n * l.height + y) * l.width + x) * l.in + c)];
  };
  size_t next = 0;
  for (index n = 0; n < images; ++n)
    for (index y = 0; y < high; ++y)
      for (index x = 0; x < wide; ++x)
        for (index o = 0; o < l.out; ++o, ++next) {
          if (l.kernel == 1)
            for (index c = 0; c < l.in; ++c)
              out[next] += at(n, y, x, c) * l.weight[size_t(o * l.in + c)];
          else
            for (index i = 0; i < l.kernel; ++i)
              for (index j = 0; j < l.kernel; ++j) {
                const index from = y * l.stride + i - pad, left = x * l.stride + j - pad;
                if (from < 0 || from >= l.height || left < 0 || left >= l.width) continue;
                out[next] +=
                    at(n, from, left, o) * l.weight[size_t((o * l.kernel + i) * l.kernel + j)];
              }
        }
  return out;
}

// BN with the rows' own statistics or the running ones, and the ReLU of a 1x1.
inline void normalise(const NaiveLayer& l, bool training, Values& rows) {
  const size_t channels = size_t(l.out), count = rows.size() / channels;
  for (size_t c = 0; c < channels; ++c) {
    double mean = l.mean[c], var = l.var[c];
    if (training) {
      mean = var = 0;
      for (size_t q = 0; q < count; ++q) mean += rows[q * channels + c] / double(count);
      for (size_t q = 0; q < count; ++q)
        var += std::pow(rows[q * channels + c] - mean, 2) / double(count);
    }
    for (size_t q = 0; q < count; ++q) {
      double& value = rows[q * channels + c];
      value = (value - mean) / std::sqrt(var + kEpsilon) * l.scale[c] + l.shift[c];
      if (l.kernel == 1) value = std::fmax(value, 0);
    }
  }
}

inline Values shuffle_block(const NaiveBlock& b, bool training) {
  const bool keeps = b.heads[1].empty();
  Values out(size_t(b.out_values()));
  const auto put = [&](const Values& rows, index channels, index first) {
    for (size_t i = 0; i < rows.size(); ++i)
      out[i / size_t(channels) * size_t(b.out()) + size_t(first) + i % size_t(channels)] = rows[i];
  };
  Values even, odd;
  for (size_t i = 0; i < b.x.size(); ++i)
    (i % size_t(b.channels) % 2 ? odd : even).push_back(b.x[i]);
  if (keeps) put(even, b.channels / 2, 0);
  for (int h = 0; h < (keeps ? 1 : 2); ++h) {
    Values rows = keeps ? odd : b.x;
    for (const NaiveLayer& layer : b.heads[h]) {
      rows = convolve(layer, b.images, rows);
      normalise(layer, training, rows);
    }
    put(rows, b.heads[h].back().out, h ? 0 : b.target());
  }
  return out;
}

}  // namespace stnas::cpu::test

// The linear bottleneck as its definition says, in double, one loop after the other.
#pragma once

#include "bottleneck/problem.h"
#include "host/tests/values.h"

namespace stnas::cpu::test {

// Everything a call takes: x, seven weights, weight and bias of three BN, and their statistics.
struct Inputs {
  Values x, expand, depthwise, squeeze_weight, squeeze_bias, excite_weight, excite_bias, project;
  Values weight[3], bias[3], mean[3], var[3];

  std::vector<Values*> parameters() {
    return {&x,           &expand,  &depthwise, &squeeze_weight, &squeeze_bias, &excite_weight,
            &excite_bias, &project, &weight[0], &bias[0],        &weight[1],    &bias[1],
            &weight[2],   &bias[2]};
  }
};

inline Inputs make_inputs(const Shape& s, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  const auto draw = [&](index count, double scale, double shift = 0) {
    Values values(static_cast<size_t>(count));
    for (double& value : values) value = shift + scale * normal(generator);
    return values;
  };
  const index M = s.hidden;
  Inputs in{draw(s.images * s.pixels() * s.in, 1),
            draw(M * s.in, 1 / std::sqrt(double(s.in))),
            draw(M * s.kernel * s.kernel, 1 / double(s.kernel)),
            draw(s.squeeze * M, 1 / std::sqrt(double(M))),
            draw(s.squeeze, 1),
            draw(M * s.squeeze, 1),
            draw(M, 1),
            draw(s.out * M, 1 / std::sqrt(double(M))),
            {},
            {},
            {},
            {}};
  for (int i = 0; i < 3; ++i) {
    const index channels = i < 2 ? M : s.out;
    in.weight[i] = draw(channels, 0.2, 1);
    in.bias[i] = draw(channels, 0.3);
    in.mean[i] = draw(channels, 0.2);
    in.var[i] = Values(static_cast<size_t>(channels), 1.3);
  }
  return in;
}

inline double activate(Activation activation, double z) {
  switch (activation) {
    case Activation::relu:
      return std::fmax(z, 0);
    case Activation::relu6:
      return std::fmin(std::fmax(z, 0), 6);
    case Activation::hardswish:
      return z * std::fmin(std::fmax(z + 3, 0), 6) / 6;
    case Activation::silu:
      return z / (1 + std::exp(-z));
  }
  return 0;
}

// BN over rows of `channels`, with the rows' own statistics or the given ones.
inline void normalise(Values& rows, const Inputs& in, int layer, size_t channels, bool training) {
  const size_t count = rows.size() / channels;
  for (size_t c = 0; c < channels; ++c) {
    double mean = in.mean[layer][c], var = in.var[layer][c];
    if (training) {
      mean = var = 0;
      for (size_t q = 0; q < count; ++q) mean += rows[q * channels + c] / double(count);
      for (size_t q = 0; q < count; ++q)
        var += std::pow(rows[q * channels + c] - mean, 2) / double(count);
    }
    const double scale = in.weight[layer][c] / std::sqrt(var + kEpsilon);
    for (size_t q = 0; q < count; ++q) {
      double& value = rows[q * channels + c];
      value = (value - mean) * scale + in.bias[layer][c];
    }
  }
}

// rows [., from] times weights [to, from].
inline Values multiply(const Values& rows, const Values& weights, index from, index to) {
  Values out(rows.size() / size_t(from) * size_t(to));
  for (size_t q = 0; q < rows.size() / size_t(from); ++q)
    for (index o = 0; o < to; ++o)
      for (index i = 0; i < from; ++i)
        out[q * size_t(to) + size_t(o)] +=
            rows[q * size_t(from) + size_t(i)] * weights[size_t(o * from + i)];
  return out;
}

inline Values convolve(const Shape& s, const Values& hidden, const Values& weights) {
  const index pad = s.kernel / 2, M = s.hidden;
  Values out(size_t(s.images * s.out_pixels() * M));
  for (index n = 0; n < s.images; ++n)
    for (index y = 0; y < s.out_height(); ++y)
      for (index x = 0; x < s.out_width(); ++x)
        for (index i = 0; i < s.kernel; ++i)
          for (index j = 0; j < s.kernel; ++j) {
            const index row = y * s.stride - pad + i, column = x * s.stride - pad + j;
            if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
            for (index m = 0; m < M; ++m)
              out[size_t(((n * s.out_height() + y) * s.out_width() + x) * M + m)] +=
                  hidden[size_t(((n * s.height + row) * s.width + column) * M + m)] *
                  weights[size_t((m * s.kernel + i) * s.kernel + j)];
          }
  return out;
}

inline Values bottleneck(const Shape& s, const Inputs& in, Activation activation, bool residual,
                         bool training) {
  const size_t M = size_t(s.hidden), pixels = size_t(s.out_pixels());
  Values hidden = multiply(in.x, in.expand, s.in, s.hidden);
  normalise(hidden, in, 0, M, training);
  for (double& value : hidden) value = activate(activation, value);
  hidden = convolve(s, hidden, in.depthwise);
  normalise(hidden, in, 1, M, training);
  for (double& value : hidden) value = activate(activation, value);
  for (size_t n = 0; n < size_t(s.images); ++n) {
    Values pooled(M);
    double* rows = hidden.data() + n * pixels * M;
    for (size_t q = 0; q < pixels * M; ++q) pooled[q % M] += rows[q] / double(pixels);
    Values squeezed = multiply(pooled, in.squeeze_weight, s.hidden, s.squeeze);
    for (size_t r = 0; r < squeezed.size(); ++r)
      squeezed[r] = std::fmax(squeezed[r] + in.squeeze_bias[r], 0);
    const Values gate = multiply(squeezed, in.excite_weight, s.squeeze, s.hidden);
    for (size_t q = 0; q < pixels * M; ++q)
      rows[q] /= 1 + std::exp(-gate[q % M] - in.excite_bias[q % M]);
  }
  Values out = multiply(hidden, in.project, s.hidden, s.out);
  normalise(out, in, 2, size_t(s.out), training);
  if (residual)
    for (size_t i = 0; i < out.size(); ++i) out[i] += in.x[i];
  return out;
}

}  // namespace stnas::cpu::test

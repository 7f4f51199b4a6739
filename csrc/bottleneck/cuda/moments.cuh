// Mean and covariance of a node, and from them the statistics of an expand BN: e = W x, so that
// mean(e) = W m and var(e_k) = w_k' C w_k.
#pragma once

#include "device/sources.cuh"

namespace stnas::cuda {

// Mean, then covariance: [1 + channels, channels].
template <class S>
void node_moments(const cpu::Node<Wide<S>, S>& node, Wide<S>* to, const Workspace& workspace,
                  Stream stream) {
  using T = Wide<S>;
  const int64_t count = node.images * node.height * node.width, channels = node.channels;
  const Rows<S> x = dense(node.x, count, channels);
  find_moments(workspace, x, to, workspace.take<T>(channels), stream);
  const Centred<S> centred{x, to};
  correlate<MultiplyAdd<T>, kVector<S>>(workspace, centred, channels, centred, channels, count,
                                        T(1) / static_cast<T>(count), to + channels, stream);
}

// One warp per hidden channel, whose lanes share out the input's channels.
template <class S>
__global__ void __launch_bounds__(kBlock)
    expand_statistics_kernel(Weight<S> weight, const Wide<S>* mean, const Wide<S>* product,
                             int hidden, int channels, Wide<S>* statistics) {
  const int m = static_cast<int>(blockIdx.x * kBlock + threadIdx.x) / 32;
  const int lane = threadIdx.x % 32;
  double average = 0, variance = 0;
  for (int c = lane; c < channels && m < hidden; c += 32) {
    const auto w = static_cast<double>(weight.template read<1>(m, c).at[0]);
    average += w * static_cast<double>(mean[c]);
    variance += w * static_cast<double>(product[static_cast<int64_t>(m) * channels + c]);
  }
  for (unsigned by = 16; by > 0; by /= 2) {
    average += __shfl_down_sync(0xffffffffu, average, by);
    variance += __shfl_down_sync(0xffffffffu, variance, by);
  }
  if (lane != 0 || m >= hidden) return;
  statistics[m] = static_cast<Wide<S>>(average);
  statistics[hidden + m] = static_cast<Wide<S>>(variance < 0 ? 0 : variance);
}

// Fills saved.moments with the mean of x and W C, and the statistics of the expand BN.
template <class S>
void expand_statistics(const cpu::Problem<Wide<S>, S>& p, const cpu::Saved<Wide<S>, S>& saved,
                       const Workspace& workspace, Stream stream) {
  using T = Wide<S>;
  const cpu::Shape& s = p.shape;
  const T* moments = p.moments;
  if (!moments) {
    T* own = workspace.take<T>((1 + s.in) * s.in);
    node_moments<S>({p.x, s.images, s.height, s.width, s.in, {}}, own, workspace, stream);
    moments = own;
  }
  T* product = saved.moments + s.in;
  const Weight<S> weight{dense(p.weights.expand, s.hidden, s.in)};
  multiply_rows<T, false>(weight, dense(moments + s.in, s.in, s.in), sink(product, s.hidden, s.in),
                          s.in, stream);
  add_parts<T>({moments, 1, 1, s.in, s.in}, T(1), saved.moments, 0, 1, stream);
  launch("expand_statistics_kernel", &expand_statistics_kernel<S>, warps(s.hidden), dim3(kBlock), 0,
         stream, weight, moments, product, static_cast<int>(s.hidden), static_cast<int>(s.in),
         saved.statistics);
}

}  // namespace stnas::cuda

// The gradient of the choice block: back through the last BN, project and the gate; through SE;
// through the BN behind the depthwise convolution, that convolution, and the expand BN.
#include "bottleneck/cuda/bottleneck.cuh"
#include "bottleneck/cuda/bottleneck_gradient.cuh"
#include "bottleneck/cuda/squeeze.cuh"

namespace stnas::cuda {
namespace {

template <class S>
struct Pass {
  using T = Wide<S>;
  const cpu::Problem<T, S>& p;
  const cpu::Saved<T, S>& saved;
  const cpu::Gradients<T, S>& to;
  const Workspace& workspace;
  Stream stream;
  Sizes<S> sizes{p.shape};
};

// With dy the gradient of the projection: du = dy W, and dW = sum dy (g u)'. Returns du.
template <class S>
const S* project_gradient(const Pass<S>& pass, const S* grad, const Fold<Wide<S>>& second) {
  using T = Wide<S>;
  const Sizes<S>& sizes = pass.sizes;
  const auto& p = pass.p;
  const auto incoming = dense(grad, sizes.out_pixels, sizes.out);
  const auto projected = dense<S>(pass.saved.projected, sizes.out_pixels, sizes.out);
  const auto third = fold_batch(p, 2, pass.saved.statistics, pass.workspace, pass.stream);
  T* affine = pass.to.affine + 4 * sizes.hidden;
  const auto by = norm_gradient<false>(pass.workspace, incoming, projected, sizes.out, third,
                                       p.activation, affine, pass.stream);
  const BeforeNorm<S> dy{incoming, projected, third, by};
  S* du = pass.workspace.template take<S>(sizes.out_pixels * sizes.padded);
  multiply_rows<S, true>(dy, dense(p.weights.project, sizes.out, sizes.hidden),
                         sink(du, sizes.out_pixels, sizes.padded), sizes.out, pass.stream);
  const auto u = gated<S>(p, pass.saved.hidden, second, pass.saved.excitation);
  correlate<Arithmetic<S>, kVector<S>>(pass.workspace, dy, sizes.out, u, sizes.hidden,
                                       sizes.out_pixels, T(1), pass.to.project, pass.stream);
  return du;
}

// Weights and biases of SE: sums over the images of products of excitation and its gradient.
template <class S>
void squeeze_weights(const Pass<S>& pass, const Wide<S>* grads) {
  using T = Wide<S>;
  const cpu::Shape& s = pass.p.shape;
  const auto part = [&](const T* rows, int64_t from, int64_t columns) {
    return Rows<T>{rows + from, s.images, s.excitation(), static_cast<int>(columns), true};
  };
  const int64_t squeezed = s.padded(), gate = s.padded() + s.padded_squeeze();
  const T* rows = pass.saved.excitation;
  using Math = MultiplyAdd<T>;
  correlate<Math, 4>(pass.workspace, part(grads, squeezed, s.squeeze), s.squeeze,
                     part(rows, 0, s.hidden), s.hidden, s.images, T(1), pass.to.squeeze_weight,
                     pass.stream);
  correlate<Math, 4>(pass.workspace, part(grads, gate, s.hidden), s.hidden,
                     part(rows, squeezed, s.squeeze), s.squeeze, s.images, T(1),
                     pass.to.excite_weight, pass.stream);
  const auto bias = [&](int64_t from, int64_t columns, T* to) {
    const Parts parts = cut(s.images, 64, 64);
    T* sums = pass.workspace.template take<T>(parts.count * pad(columns));
    sum_columns<1, 4>(Plain<T>{part(grads, from, columns)}, s.images, parts.share, pad(columns),
                      sums, pass.stream);
    add_parts<T>({sums, parts.count, 1, pad(columns), columns}, T(1), to, 0, 1, pass.stream);
  };
  bias(squeezed, s.squeeze, pass.to.squeeze_bias);
  bias(gate, s.hidden, pass.to.excite_bias);
}

// Through SE and the BN behind the depthwise convolution: its gradient, made anew where it is read.
template <class S>
HiddenGradient<S> hidden_gradient(const Pass<S>& pass, const S* du, const Fold<Wide<S>>& second) {
  using T = Wide<S>;
  const cpu::Shape& s = pass.p.shape;
  const Sizes<S>& sizes = pass.sizes;
  const auto d = sizes.hidden_rows(pass.saved.hidden), grad = sizes.hidden_rows(du);
  const Workspace& workspace = pass.workspace;
  T* sums = workspace.template take<T>(5 * s.images * s.padded());
  sum_columns<5, kVector<S>>(GateSums<S>{{d, second, pass.p.activation}, grad}, sizes.out_pixels,
                             s.out_pixels(), sizes.padded, sums, pass.stream);
  T* grads = workspace.template take<T>(s.images * s.excitation());
  const T* rows = pass.saved.excitation;
  launch("squeeze_gradient_kernel", &squeeze_gradient_kernel<T>,
         dim3(static_cast<unsigned>(s.images)), dim3(kBlock),
         static_cast<size_t>(s.padded() + s.padded_squeeze()) * sizeof(T), pass.stream, s,
         pass.p.weights, sums, rows, grads);
  squeeze_weights(pass, grads);
  const T* gates = rows + s.padded() + s.padded_squeeze();
  const Parts parts = cut(s.images, 64, 64);
  T* totals = workspace.template take<T>(parts.count * 2 * s.padded());
  const GatedSums<T> gated{sums, gates, grads, s.excitation(), static_cast<int>(s.padded())};
  sum_columns<2, 4>(gated, s.images, parts.share, sizes.padded, totals, pass.stream);
  const auto by = norm_gradient(workspace, totals, parts.count, sizes.out_pixels, second, s.hidden,
                                pass.to.affine + 2 * s.hidden, pass.stream);
  return {{grad, d, second, by},
          gates,
          grads,
          s.excitation(),
          static_cast<int>(s.out_height()),
          static_cast<int>(s.out_width()),
          pass.p.activation};
}

// Through the depthwise convolution to the gradient de before the expand BN.
template <class S>
BeforeNorm<S> expanded_gradient(const Pass<S>& pass, const HiddenGradient<S>& dd,
                                const Activated<S>& input) {
  using T = Wide<S>;
  const Sizes<S>& sizes = pass.sizes;
  const Workspace& workspace = pass.workspace;
  S* dz = workspace.template take<S>(sizes.pixels * sizes.padded);
  const int64_t tiles = input_tiles(pass.p.shape);
  T* sums = workspace.template take<T>(tiles * 2 * sizes.padded);
  input_gradient(pass.p, dd, input, dz, sums, pass.stream);
  const Parts parts = cut(tiles, 64, 256);
  T* totals = workspace.template take<T>(parts.count * 2 * sizes.padded);
  sum_columns<1, 4>(Plain<T>{dense<T>(sums, tiles, 2 * sizes.padded)}, tiles, parts.share,
                    2 * sizes.padded, totals, pass.stream);
  const auto by = norm_gradient(workspace, totals, parts.count, sizes.pixels, input.fold,
                                sizes.hidden, pass.to.affine, pass.stream);
  return {sizes.expanded(dz), input.expanded, input.fold, by};
}

// dx = de W [+ grad] and dW = sum de x'.
template <class S>
void expand_gradient(const Pass<S>& pass, const S* grad, const BeforeNorm<S>& de) {
  using T = Wide<S>;
  const Sizes<S>& sizes = pass.sizes;
  const auto& p = pass.p;
  InputSink<S> out{sink(pass.to.x, sizes.pixels, sizes.channels), p.residual ? grad : nullptr,
                   pass.to.add_x, sizes.pixels, static_cast<int>(sizes.channels)};
  if (out.through) out.to.wide = out.to.wide && aligned(out.through);
  multiply_rows<S, true>(de, dense(p.weights.expand, sizes.hidden, sizes.channels), out,
                         sizes.padded, pass.stream);
  correlate<Arithmetic<S>, kVector<S>>(pass.workspace, de, sizes.hidden,
                                       dense(p.x, sizes.pixels, sizes.channels), sizes.channels,
                                       sizes.pixels, T(1), pass.to.expand, pass.stream);
}

}  // namespace

template <class S>
void BottleneckBackward<S>::run(const cpu::Problem<T, S>& p, const cpu::Saved<T, S>& saved,
                                const S* grad, const cpu::Gradients<T, S>& to,
                                const Workspace& workspace, void* stream) {
  const Pass<S> pass{p, saved, to, workspace, static_cast<Stream>(stream)};
  const auto second = fold_batch(p, 1, saved.statistics, workspace, pass.stream);
  const S* du = project_gradient(pass, grad, second);
  const auto dd = hidden_gradient(pass, du, second);
  const S* expanded = saved.expanded;
  if (!p.shape.stores_expanded()) {
    S* own = workspace.take<S>(pass.sizes.pixels * pass.sizes.padded);
    expand(p, own, pass.stream);
    expanded = own;
  }
  const auto first = fold_batch(p, 0, saved.statistics, workspace, pass.stream);
  const auto input = activated(p, expanded, first);
  tap_gradient(p, dd, input, to.depthwise, workspace, pass.stream);
  expand_gradient(pass, grad, expanded_gradient(pass, dd, input));
}

template struct BottleneckBackward<float>;
template struct BottleneckBackward<double>;
template struct BottleneckBackward<cpu::BFloat16>;

}  // namespace stnas::cuda

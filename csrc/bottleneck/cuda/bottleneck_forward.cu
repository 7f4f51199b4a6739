// The choice block forward: with the statistics of the batch, and with the running ones.
#include "bottleneck/cuda/bottleneck.cuh"
#include "bottleneck/cuda/moments.cuh"
#include "bottleneck/cuda/squeeze.cuh"

namespace stnas::cuda {
namespace {

// The tensors between the input and the node, in memory that is kept or not.
template <class S>
struct Pass {
  const cpu::Problem<Wide<S>, S>& p;
  const cpu::Saved<Wide<S>, S>& saved;
  const Workspace& workspace;
  Stream stream;
  Sizes<S> sizes{p.shape};
};

// hidden = depthwise(a(BN expand x)), where `expanded` is null without a stored expand x.
template <class S>
void make_hidden(const Pass<S>& pass, const S* expanded, const Fold<Wide<S>>& fold) {
  const cpu::Shape& s = pass.p.shape;
  const Planes<S> out{pass.saved.hidden, static_cast<int>(s.out_height()),
                      static_cast<int>(s.out_width()), static_cast<int>(s.padded())};
  const auto convolved = [&](const auto& source) {
    convolve<S, false>(s, source, pass.p.weights.depthwise, out, pass.stream);
  };
  if constexpr (kExpands<S>) {
    if (!expanded) return convolved(made_expanded(pass.p, fold));
  }
  convolved(activated(pass.p, expanded, fold));
}

// projected = project(SE(a(BN hidden)))
template <class S>
void make_projected(const Pass<S>& pass, const Fold<Wide<S>>& fold) {
  using T = Wide<S>;
  const cpu::Shape& s = pass.p.shape;
  const Sizes<S>& sizes = pass.sizes;
  T* sums = pass.workspace.template take<T>(s.images * s.padded());
  const Pooling<S> pooling{{sizes.hidden_rows(pass.saved.hidden), fold, pass.p.activation}};
  sum_columns<1, kVector<S>>(pooling, sizes.out_pixels, s.out_pixels(), sizes.padded, sums,
                             pass.stream);
  launch("squeeze_kernel", &squeeze_kernel<T>, dim3(static_cast<unsigned>(s.images)), dim3(kBlock),
         static_cast<size_t>(s.padded() + s.padded_squeeze()) * sizeof(T), pass.stream, s,
         pass.p.weights, sums, pass.saved.excitation);
  multiply_rows<S, false>(gated(pass.p, pass.saved.hidden, fold, pass.saved.excitation),
                          dense(pass.p.weights.project, sizes.out, sizes.hidden),
                          sink(pass.saved.projected, sizes.out_pixels, sizes.out), sizes.padded,
                          pass.stream);
}

template <class S>
void add_to_node(const Pass<S>& pass, const Fold<Wide<S>>& fold,
                 const cpu::Target<Wide<S>, S>& to) {
  const Sizes<S>& sizes = pass.sizes;
  NodeSum<S> sum{dense<S>(pass.saved.projected, sizes.out_pixels, sizes.out),
                 fold,
                 pass.p.residual ? pass.p.x : nullptr,
                 {},
                 static_cast<int>(to.others),
                 to.add,
                 is_wide(to.out, sizes.out),
                 to.divisor,
                 to.out};
  if (sum.x) sum.wide = sum.wide && aligned(sum.x);
  for (int i = 0; i < sum.count; ++i) {
    sum.others[i] = to.also[i];
    sum.wide = sum.wide && aligned(to.also[i]);
  }
  each_row<kVector<S>>(sum, sizes.out_pixels, sizes.out, pass.stream);
}

// Statistics of BN `layer` of rows of values.
template <class S>
Fold<Wide<S>> normalise(const Pass<S>& pass, int layer, Rows<S> of, int64_t channels) {
  Wide<S>* mean = pass.saved.statistics + layer * 2 * pass.p.shape.hidden;
  of.columns = static_cast<int>(channels);
  find_moments(pass.workspace, of, mean, mean + channels, pass.stream);
  return fold_batch(pass.p, layer, pass.saved.statistics, pass.workspace, pass.stream);
}

// The expand BN by its values where they are kept, else by the moments of x.
template <class S>
Fold<Wide<S>> normalise_expanded(const Pass<S>& pass, const S* expanded) {
  const cpu::Shape& s = pass.p.shape;
  if (s.stores_expanded()) {
    return normalise(pass, 0, pass.sizes.expanded(expanded), s.hidden);
  }
  expand_statistics(pass.p, pass.saved, pass.workspace, pass.stream);
  return fold_batch(pass.p, 0, pass.saved.statistics, pass.workspace, pass.stream);
}

// expand x; null where the backward pass does not keep it and the convolution makes it itself.
template <class S>
const S* make_expanded(const Pass<S>& pass, bool kept) {
  if (!kept && expands_itself<S>(pass.p.shape)) return nullptr;
  S* to = kept ? pass.saved.expanded
               : pass.workspace.template take<S>(pass.sizes.pixels * pass.sizes.padded);
  expand(pass.p, to, pass.stream);
  return to;
}

}  // namespace

template <class S>
void BottleneckForward<S>::train(const Problem& p, const cpu::Saved<T, S>& saved,
                                 const cpu::Target<T, S>& to, const Workspace& workspace,
                                 void* stream) {
  const Pass<S> pass{p, saved, workspace, static_cast<Stream>(stream)};
  const S* expanded = make_expanded(pass, p.shape.stores_expanded());
  make_hidden(pass, expanded, normalise_expanded(pass, expanded));
  make_projected(pass, normalise(pass, 1, pass.sizes.hidden_rows(saved.hidden), p.shape.hidden));
  const auto projected = dense<S>(saved.projected, pass.sizes.out_pixels, pass.sizes.out);
  add_to_node(pass, normalise(pass, 2, projected, p.shape.out), to);
  if (!to.moments) return;
  const cpu::Shape& s = p.shape;
  node_moments<S>({to.out, s.images, s.out_height(), s.out_width(), s.out, {}}, to.moments,
                  workspace, pass.stream);
}

template <class S>
void BottleneckForward<S>::infer(const Problem& p, S* out, const Workspace& workspace,
                                 void* stream) {
  const cpu::Shape& s = p.shape;
  const Sizes<S> sizes(s);
  cpu::Saved<T, S> saved{};
  saved.hidden = workspace.take<S>(sizes.out_pixels * sizes.padded);
  saved.projected = workspace.take<S>(sizes.out_pixels * sizes.out);
  saved.excitation = workspace.take<T>(s.images * s.excitation());
  const Pass<S> pass{p, saved, workspace, static_cast<Stream>(stream)};
  Fold<T> folds[3];
  for (int i = 0; i < 3; ++i) {
    folds[i] = fold_layer(p, i, p.norms[i].mean, p.norms[i].var, workspace, pass.stream);
  }
  make_hidden(pass, make_expanded(pass, false), folds[0]);
  make_projected(pass, folds[1]);
  add_to_node(pass, folds[2], {out});
}

template <class S>
void BottleneckForward<S>::move_running(const Problem& p, const T* statistics,
                                        T* const (&running)[6], double momentum, void* stream) {
  const cpu::Shape& s = p.shape;
  for (int layer = 0; layer < 3; ++layer) {
    const int64_t channels = layer < 2 ? s.hidden : s.out;
    const T* mean = statistics + layer * 2 * s.hidden;
    const int64_t count = s.images * (layer ? s.out_pixels() : s.pixels());
    const Running<T> norm{mean,
                          mean + channels,
                          running[2 * layer],
                          running[2 * layer + 1],
                          static_cast<int>(channels),
                          static_cast<double>(count)};
    launch("running_kernel", &running_kernel<T>,
           dim3(static_cast<unsigned>((channels + kBlock - 1) / kBlock)), dim3(kBlock), 0,
           static_cast<Stream>(stream), norm, momentum);
  }
}

template struct BottleneckForward<float>;
template struct BottleneckForward<double>;
template struct BottleneckForward<cpu::BFloat16>;

}  // namespace stnas::cuda

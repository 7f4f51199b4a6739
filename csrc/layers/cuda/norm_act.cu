// BN with the statistics of the batch and its activation.
#include "device/rows.cuh"
#include "layers/cuda/launchers.h"

namespace stnas::cuda {
namespace {

template <class T>
Fold<T> fold_rows(const cpu::NormAct<T>& p, const T* statistics, const Workspace& workspace,
                  Stream stream) {
  return fold<T>(workspace, {p.norm.weight, p.norm.bias, statistics, statistics + p.channels},
                 p.channels, stream);
}

}  // namespace

template <class T>
void norm_act(const cpu::NormAct<T>& p, T* statistics, T* out, const Workspace& workspace,
              void* stream) {
  const auto on = static_cast<Stream>(stream);
  Rows<T> x = dense(p.x, p.rows, p.channels);
  find_moments(workspace, x, statistics, statistics + p.channels, on);
  const Fold<T> by = fold_rows(p, statistics, workspace, on);
  x.wide = x.wide && aligned(out);
  each_row<kVector<T>>(NormActivated<T>{x, by, p.activation, out}, p.rows, p.channels, on);
}

template <class T>
void norm_act_gradient(const cpu::NormAct<T>& p, const T* statistics, const T* grad, T* grad_x,
                       T* affine, const Workspace& workspace, void* stream) {
  const auto on = static_cast<Stream>(stream);
  Rows<T> x = dense(p.x, p.rows, p.channels);
  const Rows<T> incoming = dense(grad, p.rows, p.channels);
  const Fold<T> by = fold_rows(p, statistics, workspace, on);
  const auto gradient =
      norm_gradient<true>(workspace, incoming, x, p.channels, by, p.activation, affine, on);
  x.wide = x.wide && aligned(grad_x);
  each_row<kVector<T>>(NormActivatedGradient<T>{{incoming, x, by, gradient}, p.activation, grad_x},
                       p.rows, p.channels, on);
}

template void norm_act(const cpu::NormAct<float>&, float*, float*, const Workspace&, void*);
template void norm_act(const cpu::NormAct<double>&, double*, double*, const Workspace&, void*);
template void norm_act_gradient(const cpu::NormAct<float>&, const float*, const float*, float*,
                                float*, const Workspace&, void*);
template void norm_act_gradient(const cpu::NormAct<double>&, const double*, const double*, double*,
                                double*, const Workspace&, void*);

}  // namespace stnas::cuda

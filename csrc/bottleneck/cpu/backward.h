// The gradient of the training pass: two sweeps, each of which needs the sums of the one before,
// and the correction of the expand BN.
#pragma once

#include "bottleneck/cpu/gradient_stored.h"

namespace stnas::cpu::STNAS_ISA {

// The first sweep with its results: gradients of the project and SE weights; returns the sums of
// the depthwise BN, [2][padded].
template <class Act, class T, class S>
const double* gate_gradients(Scratch& scratch, const ProjectSweep<T, S>& sweep,
                             const Gradients<T, S>& to) {
  const Shape& s = sweep.p.shape;
  const index padded = s.padded(), chunks = sweep.plan.chunks;
  T* project = scratch.zeros<T>(chunks * padded * s.out);
  double* norm = scratch.zeros<double>(chunks * 2 * padded);
  sweep_gates<Act>(sweep, project, norm);
  add_parts(sweep.p.executor, chunks, padded * s.out, project);
  add_parts(sweep.p.executor, chunks, 2 * padded, norm);
  for_each_block(s, sweep.p.executor, s.out, [&](index b) {
    for (index o = 0; o < s.out; ++o)
      store(to.project + o * s.hidden + b * kLanes, load(project + (b * s.out + o) * kLanes),
            s.hidden - b * kLanes);
  });
  squeeze_gradients(sweep.p, sweep.saved, sweep.excitation_grad, to);
  return norm;
}

template <class Act, class T, class S>
void backward(const Problem<T, S>& p, const Saved<T, S>& saved, const S* grad,
              const Gradients<T, S>& to) {
  const Shape& s = p.shape;
  const Plan plan = make_plan(s);
  const index M = s.hidden;
  Scratch scratch;
  const auto out = out_gradient(scratch, p, plan, saved, grad, to.affine + 4 * M);
  const T* second = saved.statistics + 2 * M;
  const auto fold = fold_norm(scratch, p.norms[1], second, second + M, M);
  T* panels = scratch.take<T>(s.padded() * s.out);
  pack_rows(p.weights.project, s.out, M, s.out, panels);
  const ProjectSweep<T, S> gates{p,
                                 plan,
                                 saved,
                                 out,
                                 fold,
                                 pack_operand<Operand<S>>(scratch, s.blocks(), s.out, panels),
                                 hidden_offsets<T>(scratch, plan),
                                 pack_squeeze_gradient(scratch, p),
                                 scratch.zeros<T>(s.images * s.excitation()),
                                 scratch.take<S>(s.images * s.padded() * s.out_pixels())};
  const double* sums = gate_gradients<Act>(scratch, gates, to);
  const HiddenGradient<T, S> hidden{
      gates, hidden_input(scratch, p, plan, saved),
      norm_gradient(scratch, s, fold, sums, double(s.images * s.out_pixels()), to.affine + 2 * M),
      pack_depthwise(scratch, p), find_gradient<T>(s.kernel, s.stride, s.width)};
  if (s.stores_expanded()) return stored_gradients<Act>(scratch, hidden, grad, to);
  recomputed_gradients<Act>(scratch, hidden, grad, to);
}

}  // namespace stnas::cpu::STNAS_ISA

// The gradient of a head, layer by layer from the last: each sweep stores the gradient that the
// next one starts from, with the sums of its BN.
#pragma once

#include "shuffle/cpu/gradient_depthwise.h"

namespace stnas::cpu::STNAS_ISA {

// Layer i, from the gradient of its values to those of its weight and of its input.
template <class Gradient, class T>
void differentiate_layer(const ShuffleProblem<T>& p, const Head<T>& head, index i, const Plan& plan,
                         const Gradient& gradient, const Before<T>& before, T* to) {
  Scratch scratch;
  if (head.layers[i].is_depthwise()) {
    if constexpr (std::is_same_v<Gradient, ValuesGradient<StoredGradient<T>, T>>)
      with_input<Relu>(scratch, p, head, i, [&](const auto& from) {
        differentiate_depthwise(p, plan, gradient, from, before, to);
      });
  } else {
    with_input<Linear>(scratch, p, head, i, [&](const auto& from) {
      differentiate_pointwise(p, plan, gradient, from, before, to);
    });
  }
}

// The last layer's gradient from the result's.
template <class T>
ValuesGradient<ResultGradient<T>, T> result_gradient(Scratch& scratch, const ShuffleProblem<T>& p,
                                                     const Head<T>& head, const T* grad,
                                                     T* affine) {
  const HeadLayer<T>& layer = head.layers[head.count - 1];
  const Plan plan = make_plan(shape_of(layer, p.images));
  const ResultGradient<T> given{grad + head.target, p.out};
  const auto fold = fold_layer(scratch, layer);
  const index size = 2 * layer.blocks() * kLanes;
  double* sums = scratch.zeros<double>(plan.chunks * size);
  for_each_group(plan, p.executor, [&](index g, index chunk) {
    add_norm_sums(layer, given, fold, plan.unit(g, 0), {0, layer.pixels()}, sums + chunk * size);
  });
  return values_gradient(scratch, p, layer, given, fold, plan.chunks, sums, affine);
}

// Layer i and those before it, from the gradient of the values of layer i.
template <class Gradient, class T>
void differentiate_layers(const ShuffleProblem<T>& p, const Head<T>& head, index i,
                          const Gradient& gradient, const LayerGradient<T>* to,
                          const InputGradient<T>& input) {
  const Plan plan = make_plan(shape_of(head.layers[i], p.images));
  Scratch scratch;
  const auto before = take_before(scratch, head, i, plan.chunks, input);
  differentiate_layer(p, head, i, plan, gradient, before, to[i].weight);
  if (i == 0) return;
  differentiate_layers(p, head, i - 1,
                       values_gradient(scratch, p, head.layers[i - 1], before.given, before.fold,
                                       plan.chunks, before.sums, to[i - 1].affine),
                       to, input);
}

template <class T>
void differentiate_shuffle(const ShuffleProblem<T>& p, const T* grad,
                           const ShuffleGradients<T>& to) {
  for (index h = 0; h < p.count; ++h) {
    const index last = p.heads[h].count - 1;
    Scratch scratch;
    differentiate_layers(p, p.heads[h], last,
                         result_gradient(scratch, p, p.heads[h], grad, to.layers[h][last].affine),
                         to.layers[h], InputGradient<T>{p, to.x, grad, h > 0});
  }
}

}  // namespace stnas::cpu::STNAS_ISA

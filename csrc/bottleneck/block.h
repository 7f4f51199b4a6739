// A call of the choice block: its tensors checked, and pointed at.
#pragma once

#include <utility>

#include "bottleneck/problem.h"
#include "host/tensors.h"

namespace stnas::cpu {

using Affine = std::vector<Maybe>;  // weight and bias of the three BN

// The seven weights in the order of the schema.
struct WeightTensors {
  const Tensor &expand, &depthwise, &squeeze_weight, &squeeze_bias, &excite_weight, &excite_bias,
      &project;
};

constexpr size_t kBlockWeights = 7;
constexpr size_t kBlockNorms = 6;  // weight and bias, or mean and variance, of the three BN

inline WeightTensors weights_at(const Tensor* w) {
  return {w[0], w[1], w[2], w[3], w[4], w[5], w[6]};
}

inline WeightTensors check_weights(const Tensors& weights) {
  check(weights.size() == kBlockWeights, "weights must hold ", kBlockWeights, " tensors, got ",
        weights.size());
  return weights_at(weights.data());
}

inline Shape check_shape(const Tensor& x, const WeightTensors& w, index stride) {
  check_values(x);
  const Shape s{x.size(0),
                x.size(2),
                x.size(3),
                x.size(1),
                w.expand.size(0),
                w.project.size(0),
                w.squeeze_weight.size(0),
                w.depthwise.size(w.depthwise.dim() - 1),
                stride};
  check_image(x, "x", {s.images, s.in, s.height, s.width});
  check(s.kernel == 3 || s.kernel == 5 || s.kernel == 7,
        "depthwise must be a convolution with kernel 3, 5 or 7, got ", s.kernel);
  check(stride == 1 || stride == 2 || stride == 4, "stride must be 1, 2 or 4, got ", stride);
  const std::pair<const Tensor*, const char*> tensors[] = {{&w.expand, "expand"},
                                                           {&w.depthwise, "depthwise"},
                                                           {&w.squeeze_weight, "squeeze_weight"},
                                                           {&w.squeeze_bias, "squeeze_bias"},
                                                           {&w.excite_weight, "excite_weight"},
                                                           {&w.excite_bias, "excite_bias"},
                                                           {&w.project, "project"}};
  for (const auto& [tensor, name] : tensors) check_type(*tensor, name, x);
  check_size(w.expand, "expand", {s.hidden, s.in, 1, 1});
  check_size(w.depthwise, "depthwise", {s.hidden, 1, s.kernel, s.kernel});
  check_size(w.squeeze_weight, "squeeze_weight", {s.squeeze, s.hidden});
  check_size(w.squeeze_bias, "squeeze_bias", {s.squeeze});
  check_size(w.excite_weight, "excite_weight", {s.hidden, s.squeeze});
  check_size(w.excite_bias, "excite_bias", {s.hidden});
  check_size(w.project, "project", {s.out, s.hidden, 1, 1});
  return s;
}

// A call of the choice block, whatever its form.
struct Block {
  const Tensor& x;
  WeightTensors weights;
  const Affine& affine;
  index stride;
  const std::string& activation;
  bool residual;
  Shape shape = check_shape(x, weights, stride);

  std::vector<index> out_sizes() const {
    return {shape.images, shape.out, shape.out_height(), shape.out_width()};
  }

  template <class S>
  Problem<Wide<S>, S> problem() const;
};

template <class S>
Problem<Wide<S>, S> Block::problem() const {
  using T = Wide<S>;
  const Shape& s = shape;
  const WeightTensors& w = weights;
  check(!residual || (s.stride == 1 && s.in == s.out),
        "residual must be False unless stride is 1 and the channels are equal, got stride ",
        s.stride, " and ", s.in, " to ", s.out, " channels");
  check(affine.size() == kBlockNorms, "affine must hold ", kBlockNorms, " tensors or None, got ",
        affine.size());
  Problem<T, S> p{
      s,
      data<S>(x),
      {data<T>(w.expand), data<T>(w.depthwise), data<T>(w.squeeze_weight), data<T>(w.squeeze_bias),
       data<T>(w.excite_weight), data<T>(w.excite_bias), data<T>(w.project)},
      {},
      parse_activation(activation),
      residual,
      kExecutor};
  for (int i = 0; i < 6; ++i) {
    if (!affine[i]) continue;
    check_type(*affine[i], "affine", x);
    check_size(*affine[i], "affine", {i < 4 ? s.hidden : s.out});
    (i % 2 ? p.norms[i / 2].bias : p.norms[i / 2].weight) = data<T>(*affine[i]);
  }
  return p;
}

// Points the norms at the running mean and variance of the three BN.
template <class T, class S>
void set_running(Problem<T, S>& p, const std::vector<Tensor>& running, const Tensor& x) {
  check(running.size() == kBlockNorms, "running must hold ", kBlockNorms, " tensors, got ",
        running.size());
  for (int i = 0; i < 6; ++i) {
    const char* name = i % 2 ? "running_var" : "running_mean";
    check_type(running[i], name, x);
    check_size(running[i], name, {i < 4 ? p.shape.hidden : p.shape.out});
    (i % 2 ? p.norms[i / 2].var : p.norms[i / 2].mean) = data<T>(running[i]);
  }
}

}  // namespace stnas::cpu

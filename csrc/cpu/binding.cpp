// The operators on the CPU: check, allocate, call the kernels.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "checks.h"
#include "instruction_set.h"

namespace stnas::cpu {
namespace {

using Maybe = std::optional<Tensor>;
using Affine = std::vector<Maybe>;  // weight and bias of the three BN

constexpr Executor kExecutor{[](index count, void (*task)(void*, index), void* context) {
  torch::stable::parallel_for(0, count, 1, [&](index begin, index end) {
    for (index i = begin; i < end; ++i) task(context, i);
  });
}};

template <class T>
T* data(const Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

Activation parse_activation(const std::string& name) {
  constexpr const char* kNames[] = {"relu", "relu6", "hardswish", "silu"};
  for (int i = 0; i < 4; ++i)
    if (name == kNames[i]) return static_cast<Activation>(i);
  throw std::invalid_argument("activation must be relu, relu6, hardswish or silu, got " + name);
}

template <class S>
Problem<Wide<S>, S> make_problem(const Tensor& x, const WeightTensors& w, const Affine& affine,
                        const Shape& s, const std::string& activation, bool residual) {
  check(!residual || (s.stride == 1 && s.in == s.out),
                        "residual must be False unless stride is 1 and the channels are equal, "
                        "got stride ", s.stride, " and ", s.in, " to ", s.out, " channels");
  check(affine.size() == 6, "affine must hold 6 tensors or None, got ",
                        affine.size());
  using T = Wide<S>;
  Problem<T, S> p{s,
               data<S>(x),
               {data<T>(w.expand), data<T>(w.depthwise), data<T>(w.squeeze_weight),
                data<T>(w.squeeze_bias), data<T>(w.excite_weight), data<T>(w.excite_bias),
                data<T>(w.project)},
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

Tensor like(const Tensor& x, std::vector<index> sizes) {
  return torch::stable::new_empty(x, sizes);
}

// NCHW sizes in channels_last order.
Tensor image_like(const Tensor& x, std::vector<index> sizes) {
  return torch::stable::empty(sizes, x.scalar_type(), std::nullopt, x.device(), std::nullopt,
                              torch::headeronly::MemoryFormat::ChannelsLast);
}

template <class Use>
auto with_type(const Tensor& x, const Use& use) {
  return x.scalar_type() == ScalarType::Float ? use(float{}) : use(double{});
}

// Of Saved::expanded.
std::vector<index> expanded_size(const Shape& s) {
  if (s.stores_expanded()) return {s.images, s.blocks(), s.pixels(), kBlock};
  return {1 + s.hidden, s.in};
}

// For training: bfloat16 has no kernels there.
void check_wide(const Tensor& x) {
  check(x.scalar_type() != ScalarType::BFloat16,
        "x must be float32 or float64 in training, got bfloat16: call x.float()");
}

using Forward = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

Forward linear_bottleneck_forward(const Tensor& x, const Tensor& expand, const Tensor& depthwise,
                                  const Tensor& squeeze_weight, const Tensor& squeeze_bias,
                                  const Tensor& excite_weight, const Tensor& excite_bias,
                                  const Tensor& project, const Maybe& weight1,
                                  const Maybe& bias1, const Maybe& weight2, const Maybe& bias2,
                                  const Maybe& weight3, const Maybe& bias3, index stride,
                                  const std::string& activation, bool residual) {
  const WeightTensors w{expand,        depthwise,   squeeze_weight, squeeze_bias,
                        excite_weight, excite_bias, project};
  const Affine affine{weight1, bias1, weight2, bias2, weight3, bias3};
  check_wide(x);
  const Shape s = check_shape(x, w, stride);
  return with_type(x, [&](auto zero) -> Forward {
    using T = decltype(zero);
    const auto p = make_problem<T>(x, w, affine, s, activation, residual);
    Forward to{image_like(x, {s.images, s.out, s.out_height(), s.out_width()}),
               like(x, {4 * s.hidden + 2 * s.out}),
               like(x, {s.images, s.blocks(), s.out_pixels(), kBlock}),
               like(x, {s.images, s.out_pixels(), s.out}),
               like(x, {s.images, s.excitation()}),
               like(x, expanded_size(s))};
    auto& [out, statistics, hidden, projected, excitation, expanded] = to;
    kernels<T>().forward(p,
                         {data<T>(statistics), data<T>(hidden), data<T>(projected),
                          data<T>(excitation), data<T>(expanded)},
                         data<T>(out));
    return to;
  });
}

using Backward =
    std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

Backward linear_bottleneck_backward(
    const Tensor& grad, const Tensor& x, const Tensor& expand, const Tensor& depthwise,
    const Tensor& squeeze_weight, const Tensor& squeeze_bias, const Tensor& excite_weight,
    const Tensor& excite_bias, const Tensor& project, const Affine& affine,
    const Tensor& statistics, const Tensor& hidden, const Tensor& projected,
    const Tensor& excitation, const Tensor& expanded, index stride, const std::string& activation,
    bool residual) {
  const WeightTensors w{expand,        depthwise,   squeeze_weight, squeeze_bias,
                        excite_weight, excite_bias, project};
  check_wide(x);
  const Shape s = check_shape(x, w, stride);
  check_type(grad, "grad", x);
  check_image(grad, "grad", {s.images, s.out, s.out_height(), s.out_width()});
  check_size(statistics, "statistics", {4 * s.hidden + 2 * s.out});
  check_size(hidden, "hidden", {s.images, s.blocks(), s.out_pixels(), kBlock});
  check_size(projected, "projected", {s.images, s.out_pixels(), s.out});
  check_size(excitation, "excitation", {s.images, s.excitation()});
  check_size(expanded, "expanded", expanded_size(s));
  return with_type(x, [&](auto zero) -> Backward {
    using T = decltype(zero);
    const auto p = make_problem<T>(x, w, affine, s, activation, residual);
    const auto same = [](const Tensor& tensor) { return torch::stable::empty_like(tensor); };
    Backward to{image_like(x, {s.images, s.in, s.height, s.width}),
                same(expand), same(depthwise), same(squeeze_weight), same(squeeze_bias),
                same(excite_weight), same(excite_bias), same(project),
                like(x, {4 * s.hidden + 2 * s.out})};
    const auto pointers = std::apply(
        [](auto&... tensor) { return Gradients<T>{data<T>(tensor)...}; }, to);
    kernels<T>().backward(p,
                          {data<T>(statistics), data<T>(hidden), data<T>(projected),
                           data<T>(excitation), data<T>(expanded)},
                          data<T>(grad), pointers);
    return to;
  });
}

Tensor linear_bottleneck_inference(const Tensor& x, const Tensor& expand, const Tensor& depthwise,
                                   const Tensor& squeeze_weight, const Tensor& squeeze_bias,
                                   const Tensor& excite_weight, const Tensor& excite_bias,
                                   const Tensor& project, const Affine& affine,
                                   const std::vector<Tensor>& running, index stride,
                                   const std::string& activation, bool residual) {
  const WeightTensors w{expand,        depthwise,   squeeze_weight, squeeze_bias,
                        excite_weight, excite_bias, project};
  const Shape s = check_shape(x, w, stride);
  check(running.size() == 6, "running must hold 6 tensors, got ", running.size());
  const auto infer = [&](auto zero) {
    using S = decltype(zero);
    using T = Wide<S>;
    auto p = make_problem<S>(x, w, affine, s, activation, residual);
    for (int i = 0; i < 6; ++i) {
      check_type(running[i], "running", x);
      check_size(running[i], "running", {i < 4 ? s.hidden : s.out});
      (i % 2 ? p.norms[i / 2].var : p.norms[i / 2].mean) = data<T>(running[i]);
    }
    Tensor out = image_like(x, {s.images, s.out, s.out_height(), s.out_width()});
    kernels<S>().inference(p, data<S>(out));
    return out;
  };
  if (x.scalar_type() == ScalarType::BFloat16) return infer(BFloat16{});
  return with_type(x, infer);
}

std::string isa() { return instruction_set(); }

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("linear_bottleneck_forward", TORCH_BOX(&stnas::cpu::linear_bottleneck_forward));
  ops.impl("linear_bottleneck_backward", TORCH_BOX(&stnas::cpu::linear_bottleneck_backward));
  ops.impl("linear_bottleneck_inference", TORCH_BOX(&stnas::cpu::linear_bottleneck_inference));
}

STABLE_TORCH_LIBRARY_IMPL(stnas, CompositeExplicitAutograd, ops) {
  ops.impl("isa", TORCH_BOX(&stnas::cpu::isa));
}

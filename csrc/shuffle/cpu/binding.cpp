// The shuffle block on the CPU: check, allocate, let the kernels do the work.
#include <tuple>

#include "host/dispatch.h"
#include "host/scratch.h"
#include "shuffle/block.h"

namespace stnas::cpu {
namespace {

constexpr const char* kOther = "stnas.ops.shuffle.reference.shuffle_block on others";

using Kept = std::tuple<Tensor, Tensors, Tensor>;

Kept shuffle_block_train(const Tensor& x, const Tensors& weights, index main,
                         const std::vector<Maybe>& affine, index stride, bool keep) {
  check_plain(x, "x", kOther);
  return with_wide_type(x, [&](auto zero) -> Kept {
    using T = decltype(zero);
    ShuffleCall<T> call(x, weights, main, affine, stride);
    for (const auto& layer : call.layers)
      check(x.size(0) * layer.out_pixels() > 1,
            "x must give more than 1 value per channel, got 1: use a larger batch");
    const Tensor out = image_like(x, call.out_sizes());
    const Tensor sums = like(x, {call.statistics()});
    Tensors values;
    Scratch scratch;
    call.keep(
        [&](size_t i) {
          if (!keep) return scratch.take<T>(call.values_of(i));
          values.push_back(like(x, {call.values_of(i)}));
          return data<T>(values.back());
        },
        data<T>(sums));
    kernels<ShuffleForward<T>>().train(call.problem(), data<T>(out));
    return {out, values, sums};
  });
}

std::tuple<Tensor, Tensors, Tensor> shuffle_block_backward(const Tensor& grad, const Tensor& x,
                                                           const Tensors& weights, index main,
                                                           const std::vector<Maybe>& affine,
                                                           const Tensors& values,
                                                           const Tensor& statistics, index stride) {
  check_plain(x, "x", kOther);
  return with_wide_type(x, [&](auto zero) -> std::tuple<Tensor, Tensors, Tensor> {
    using T = decltype(zero);
    ShuffleCall<T> call(x, weights, main, affine, stride);
    check_target(grad, "grad", x, call.out_sizes());
    check(values.size() == weights.size(), "values must hold ", weights.size(), " tensors, got ",
          values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      check_type(values[i], "values", x);
      check_size(values[i], "values", {call.values_of(i)});
    }
    check_type(statistics, "statistics", x);
    check_size(statistics, "statistics", {call.statistics()});
    call.keep([&](size_t i) { return data<T>(values[i]); }, data<T>(statistics));
    const Tensor of_x = image_like(x, sizes_of(x)), of_affine = like(x, {call.statistics()});
    Tensors of_weights;
    std::vector<LayerGradient<T>> to;
    T* next = data<T>(of_affine);
    for (size_t i = 0; i < weights.size(); ++i) {
      of_weights.push_back(like(x, sizes_of(weights[i])));
      to.push_back({data<T>(of_weights.back()), next});
      next += 2 * call.layers[i].out;
    }
    kernels<ShuffleBackward<T>>().differentiate(call.problem(), data<T>(grad),
                                                {data<T>(of_x), {to.data(), to.data() + main}});
    return {of_x, of_weights, of_affine};
  });
}

Tensor shuffle_block_inference(const Tensor& x, const Tensors& weights, index main,
                               const std::vector<Maybe>& affine, const Tensors& running,
                               index stride) {
  check_plain(x, "x", kOther);
  return with_wide_type(x, [&](auto zero) {
    using T = decltype(zero);
    ShuffleCall<T> call(x, weights, main, affine, stride);
    call.set_running(running);
    const Tensor out = image_like(x, call.out_sizes());
    kernels<ShuffleForward<T>>().infer(call.problem(), data<T>(out));
    return out;
  });
}

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("shuffle_block_train", TORCH_BOX(&stnas::cpu::shuffle_block_train));
  ops.impl("shuffle_block_backward", TORCH_BOX(&stnas::cpu::shuffle_block_backward));
  ops.impl("shuffle_block_inference", TORCH_BOX(&stnas::cpu::shuffle_block_inference));
}

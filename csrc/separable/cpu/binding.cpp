// Half a separable convolution on the CPU: check, allocate, let the kernels do the work.
#include <tuple>

#include "host/dispatch.h"
#include "host/scratch.h"
#include "separable/block.h"

namespace stnas::cpu {
namespace {

using Sizes = std::vector<index>;

void check_terms(const Tensors& xs, const Tensors& kernels, const Sizes& strides,
                 const Sizes& grids, const Sizes& shifts) {
  const size_t count = xs.size();
  check(count > 0, "xs must hold 1 tensor or more, got 0");
  check(kernels.size() == count && strides.size() == count && grids.size() == count &&
            shifts.size() == count,
        "kernels, strides, grids and shifts must be as many as xs, ", count, ", got ",
        kernels.size(), ", ", strides.size(), ", ", grids.size(), " and ", shifts.size());
  check_plain(xs.front(), "xs", "stnas.ops.separable.reference.relu_dw_pw_bn on others");
}

using Kept = std::tuple<Tensor, Tensor, Tensor, Tensor>;

Kept relu_dw_pw_bn_forward(const Tensors& xs, const Tensors& kernels, const Sizes& strides,
                           const Sizes& grids, const Sizes& shifts, const Tensor& pointwise,
                           const Maybe& scale, const Maybe& weight, const Maybe& bias, bool keep) {
  check_terms(xs, kernels, strides, grids, shifts);
  const Tensor& x = xs.front();
  return with_wide_type(x, [&](auto zero) -> Kept {
    using T = decltype(zero);
    SeparableCall<T> call(xs, kernels, strides, grids, shifts, pointwise, scale, weight, bias);
    auto& p = call.problem;
    const Tensor out = image_like(x, call.out_sizes()), values = like(x, {keep ? p.kept() : 0});
    const Tensor moments = like(x, call.moments()), statistics = like(x, call.statistics());
    Scratch scratch;
    p.values = keep ? data<T>(values) : scratch.take<T>(p.kept());
    p.moments = data<T>(moments), p.statistics = data<T>(statistics);
    cpu::kernels<SeparableForward<T>>().train(p, data<T>(out));
    return {out, values, moments, statistics};
  });
}

using Gradients = std::tuple<Tensors, Tensors, Tensor, Tensor, Tensor>;

Gradients relu_dw_pw_bn_backward(const Tensor& grad, const Tensors& xs, const Tensors& kernels,
                                 const Sizes& strides, const Sizes& grids, const Sizes& shifts,
                                 const Tensor& pointwise, const Maybe& scale, const Maybe& weight,
                                 const Maybe& bias, const Tensor& values, const Tensor& moments,
                                 const Tensor& statistics) {
  check_terms(xs, kernels, strides, grids, shifts);
  const Tensor& x = xs.front();
  return with_wide_type(x, [&](auto zero) -> Gradients {
    using T = decltype(zero);
    SeparableCall<T> call(xs, kernels, strides, grids, shifts, pointwise, scale, weight, bias);
    auto& p = call.problem;
    check_target(grad, "grad", x, call.out_sizes());
    const auto point = [&](const Tensor& kept, const char* name, const Sizes& sizes) {
      check_type(kept, name, x);
      check_size(kept, name, sizes);
      return data<T>(kept);
    };
    p.values = point(values, "values", {p.kept()});
    p.moments = point(moments, "moments", call.moments());
    p.statistics = point(statistics, "statistics", call.statistics());
    Tensors of_xs, of_kernels;
    std::vector<T*> to_xs, to_kernels;
    for (size_t t = 0; t < xs.size(); ++t) {
      of_xs.push_back(image_like(x, sizes_of(xs[t])));
      of_kernels.push_back(like(x, sizes_of(kernels[t])));
      to_xs.push_back(data<T>(of_xs.back()));
      to_kernels.push_back(data<T>(of_kernels.back()));
    }
    const Tensor of_pointwise = like(x, sizes_of(pointwise)), of_scale = like(x, {});
    const Tensor of_affine = like(x, {2, p.out});
    cpu::kernels<SeparableBackward<T>>().differentiate(
        p, data<T>(grad),
        {to_xs.data(), to_kernels.data(), data<T>(of_pointwise), data<T>(of_scale),
         data<T>(of_affine)});
    return {of_xs, of_kernels, of_pointwise, of_scale, of_affine};
  });
}

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("relu_dw_pw_bn_forward", TORCH_BOX(&stnas::cpu::relu_dw_pw_bn_forward));
  ops.impl("relu_dw_pw_bn_backward", TORCH_BOX(&stnas::cpu::relu_dw_pw_bn_backward));
}

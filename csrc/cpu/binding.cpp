// The operators on the CPU that need no gradient: check, allocate, call the kernels.
#include "binding.h"

#include "instruction_set.h"

namespace stnas::cpu {
namespace {

Tensor linear_bottleneck_inference(const Tensor& x, const Tensor& expand, const Tensor& depthwise,
                                   const Tensor& squeeze_weight, const Tensor& squeeze_bias,
                                   const Tensor& excite_weight, const Tensor& excite_bias,
                                   const Tensor& project, const Affine& affine,
                                   const std::vector<Tensor>& running, index stride,
                                   const std::string& activation, bool residual) {
  const Block block{x, {expand, depthwise, squeeze_weight, squeeze_bias, excite_weight,
                        excite_bias, project}, affine, stride, activation, residual};
  return with_type(x, [&](auto zero) {
    using S = decltype(zero);
    auto p = block.problem<S>();
    set_running(p, running, x);
    Tensor out = image_like(x, block.out_sizes());
    kernels<S>().inference(p, data<S>(out));
    return out;
  });
}

Tensor node_moments(const Tensor& x) {
  check_values(x);
  check_image(x, "x", {x.size(0), x.size(1), x.size(2), x.size(3)});
  return with_type(x, [&](auto zero) {
    using S = decltype(zero);
    Tensor moments = like_sums(x, {1 + x.size(1), x.size(1)});
    kernels<S>().moments({data<S>(x), x.size(0), x.size(2), x.size(3), x.size(1), kExecutor},
                         data<Wide<S>>(moments));
    return moments;
  });
}

std::string isa() { return instruction_set(); }

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("linear_bottleneck_inference", TORCH_BOX(&stnas::cpu::linear_bottleneck_inference));
  ops.impl("node_moments", TORCH_BOX(&stnas::cpu::node_moments));
}

STABLE_TORCH_LIBRARY_IMPL(stnas, CompositeExplicitAutograd, ops) {
  ops.impl("isa", TORCH_BOX(&stnas::cpu::isa));
}

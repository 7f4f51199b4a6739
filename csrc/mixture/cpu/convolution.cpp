// The convolutions of edges on the CPU: check, allocate, let the kernels do the work.
#include "mixture/convolution.h"

#include <tuple>

#include "host/dispatch.h"
#include "host/tensors.h"

namespace stnas::cpu {
namespace {

template <class T>
EdgeConvolutions<T> edge_convolutions(const Tensor& x, const Tensor& kernel) {
  check_plain(x, "x", "stnas.ops.mixture.reference.mixed_cell on others");
  check_image(x, "x", sizes_of(x));
  check_same_type(kernel, "kernel", x);
  check(kernel.dim() == 4, "kernel must have 4 dimensions, got ", kernel.dim());
  const index channels = x.size(1), out = kernel.size(0), size = kernel.size(3);
  check(out > 0 && out % channels == 0, "kernel must have a multiple of ", channels,
        " rows, one for each edge, got ", out);
  check(size % 2 == 1, "kernel must have an odd size, got ", size);
  check_size(kernel, "kernel", {out, channels, size, size});
  return {data<T>(x), data<T>(kernel), x.size(0), x.size(2), x.size(3), channels, out,
          size,       kExecutor};
}

template <class T>
std::vector<index> result_of(const EdgeConvolutions<T>& p) {
  return {p.images, p.out, p.height, p.width};
}

std::tuple<Tensor, Tensor> edge_convolutions_forward(const Tensor& x, const Tensor& kernel) {
  return with_wide_type(x, [&](auto zero) {
    using T = decltype(zero);
    const auto p = edge_convolutions<T>(x, kernel);
    const Tensor z = image_like(x, result_of(p)), statistics = like(x, {2, p.out});
    kernels<ConvolutionKernels<T>>().convolve(p, data<T>(z), data<T>(statistics));
    return std::tuple{z, statistics};
  });
}

Tensor edge_convolutions_backward_(const Tensors& grads, const Tensors& corrections,
                                   const Tensor& x, const Tensor& z, const Tensor& kernel,
                                   const Tensor& of_x, bool wants_kernel) {
  return with_wide_type(x, [&](auto zero) {
    using T = decltype(zero);
    const auto p = edge_convolutions<T>(x, kernel);
    check_target(z, "z", x, result_of(p));
    check_target(of_x, "of_x", x, sizes_of(x));
    check(index(grads.size()) == p.edges() && index(corrections.size()) == p.edges(),
          "grads and corrections must hold ", p.edges(), " tensors, one for each edge, got ",
          grads.size(), " and ", corrections.size());
    std::vector<const T*> from, terms;
    for (size_t e = 0; e < grads.size(); ++e) {
      check_target(grads[e], "grads", x, sizes_of(x));
      check_same_type(corrections[e], "corrections", x);
      check_size(corrections[e], "corrections", {4, p.channels});
      from.push_back(data<T>(grads[e]));
      terms.push_back(data<T>(corrections[e]));
    }
    const Tensor of_kernel = wants_kernel ? like(x, sizes_of(kernel)) : like(x, {0});
    kernels<ConvolutionKernels<T>>().differentiate(p, {data<T>(z), from.data(), terms.data()},
                                                   data<T>(of_x),
                                                   wants_kernel ? data<T>(of_kernel) : nullptr);
    return of_kernel;
  });
}

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("edge_convolutions", TORCH_BOX(&stnas::cpu::edge_convolutions_forward));
  ops.impl("edge_convolutions_backward_", TORCH_BOX(&stnas::cpu::edge_convolutions_backward_));
}

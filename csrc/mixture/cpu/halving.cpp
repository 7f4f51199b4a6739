// The block between two stages of cells on the CPU: check, allocate, let the kernels do the work.
#include "mixture/halving.h"

#include <tuple>

#include "host/dispatch.h"
#include "host/tensors.h"

namespace stnas::cpu {
namespace {

template <class T>
Halving<T> halving(const Tensor& x, const Tensor& first, const Tensor& second,
                   const Tensor& shortcut) {
  check_plain(x, "x", "stnas.ops.mixture.reference.halving_block on others");
  check_image(x, "x", sizes_of(x));
  for (const Tensor* own : {&first, &second, &shortcut}) check_same_type(*own, "kernels", x);
  check(first.dim() == 4 && first.size(0) > 0, "first must have shape [C_out, C, 3, 3]");
  const index in = x.size(1), out = first.size(0);
  check_size(first, "first", {out, in, 3, 3});
  check_size(second, "second", {out, out, 3, 3});
  check_size(shortcut, "shortcut", {out, in, 1, 1});
  const Halving<T> p{data<T>(x), data<T>(first), data<T>(second), data<T>(shortcut),
                     x.size(0),  x.size(2),      x.size(3),       in,
                     out,        kExecutor};
  check(p.images * p.pixels() > 1,
        "x must give more than 1 value per channel, got 1: use a larger batch");
  return p;
}

template <class T>
std::vector<index> result_of(const Halving<T>& p) {
  return {p.images, p.out, p.rows(), p.columns()};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> halving_block(const Tensor& x, const Tensor& first,
                                                         const Tensor& second,
                                                         const Tensor& shortcut) {
  return with_wide_type(x, [&](auto zero) -> std::tuple<Tensor, Tensor, Tensor, Tensor> {
    using T = decltype(zero);
    const auto p = halving<T>(x, first, second, shortcut);
    const Tensor out = image_like(x, result_of(p));
    const Tensor z[] = {image_like(x, result_of(p)), image_like(x, result_of(p))};
    const Tensor statistics = like(x, {2, 2, p.out});
    kernels<HalvingKernels<T>>().halve(p, {{data<T>(z[0]), data<T>(z[1])}, data<T>(statistics)},
                                       data<T>(out));
    return {out, z[0], z[1], statistics};
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor> halving_block_backward(
    const Tensor& grad, const Tensor& x, const Tensor& first, const Tensor& second,
    const Tensor& shortcut, const Tensor& z, const Tensor& last, const Tensor& statistics,
    bool wants_kernels) {
  return with_wide_type(x, [&](auto zero) -> std::tuple<Tensor, Tensor, Tensor, Tensor> {
    using T = decltype(zero);
    const auto p = halving<T>(x, first, second, shortcut);
    for (const Tensor* own : {&grad, &z, &last}) check_target(*own, "grad", x, result_of(p));
    check_same_type(statistics, "statistics", x);
    check_size(statistics, "statistics", {2, 2, p.out});
    const Tensor of_x = image_like(x, sizes_of(x));
    const auto kernel = [&](const Tensor& own) {
      return wants_kernels ? like(x, sizes_of(own)) : like(x, {0});
    };
    const Tensor of[] = {kernel(first), kernel(second), kernel(shortcut)};
    const auto place = [&](int i) { return wants_kernels ? data<T>(of[i]) : nullptr; };
    kernels<HalvingKernels<T>>().differentiate(
        p, {{data<T>(z), data<T>(last)}, data<T>(statistics)}, data<T>(grad),
        {data<T>(of_x), place(0), place(1), place(2)});
    return {of_x, of[0], of[1], of[2]};
  });
}

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("halving_block", TORCH_BOX(&stnas::cpu::halving_block));
  ops.impl("halving_block_backward", TORCH_BOX(&stnas::cpu::halving_block_backward));
}

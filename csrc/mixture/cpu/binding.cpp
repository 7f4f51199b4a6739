// A mixed node on the CPU: check, allocate, let the kernels do the work.
#include <tuple>

#include "host/dispatch.h"
#include "host/tensors.h"
#include "mixture/problem.h"

namespace stnas::cpu {
namespace {

void check_plain(const Tensors& x) {
  check(!x.empty(), "x must hold 1 tensor or more, got 0");
  check_values(x[0]);
  check(x[0].is_cpu() && x[0].scalar_type() != ScalarType::BFloat16,
        "x must be float32 or float64 on the CPU: call "
        "stnas.ops.mixture.reference.mixed_cell on others");
}

// Channels of a tensor in channels_last order, or of a part of its channels; returns how many
// values its pixels are apart.
index check_part(const Tensor& part, const char* name, const Tensor& x) {
  check_same_type(part, name, x);
  check(sizes_of(part) == sizes_of(x), name, " must have the shape of x");
  // Strides of sizes that are 1 mean nothing: the first one that counts tells.
  const index channels = x.size(1), height = x.size(2), width = x.size(3);
  index row = channels;
  if (width > 1)
    row = part.stride(3);
  else if (height > 1)
    row = part.stride(2);
  else if (x.size(0) > 1)
    row = part.stride(0);
  const auto fits = [&](int at, index stride) {
    return part.size(at) == 1 || part.stride(at) == stride;
  };
  check(row >= channels && fits(1, 1) && fits(2, row * width) && fits(0, row * width * height),
        name,
        " must be in channels_last order, or channels of such a tensor: call "
        ".contiguous(memory_format=torch.channels_last)");
  return row;
}

// The node after its checks. shares: a row a source: skip, pool, and one a branch of it.
template <class T>
struct MixtureCall {
  std::vector<MixedSource<T>> sources;
  std::vector<MixedBranch<T>> branches;
  MixedNode<T> node;

  MixtureCall(const Tensors& x, const Tensors& z, const Tensor& shares) {
    const Tensor& first = x[0];
    const index count = index(x.size()), each = index(z.size()) / count;
    check(index(z.size()) == each * count, "z must hold equally many tensors for each of ", count,
          " x, got ", z.size());
    check_type(shares, "shares", first);
    check_size(shares, "shares", {count, 2 + each});
    const T* share = data<T>(shares);
    for (index s = 0; s < count; ++s, share += 2 + each) {
      check_target(x[size_t(s)], "x", first, sizes_of(first));
      sources.push_back({data<T>(x[size_t(s)]), share[0], share[1]});
      for (index k = 0; k < each; ++k) {
        const Tensor& one = z[size_t(s * each + k)];
        const index row = check_part(one, "z", first);
        branches.push_back({data<T>(one), row, share[2 + k]});
      }
    }
    check(first.numel() > first.size(1),
          "x must give more than 1 value per channel, got 1: use a larger batch");
    node = {first.size(0),   first.size(2),          first.size(3),
            first.size(1),   sources.data(),         index(sources.size()),
            branches.data(), index(branches.size()), kExecutor};
  }
};

std::tuple<Tensor, Tensor, Tensor> mixed_node(const Tensors& x, const Tensors& z,
                                              const Tensor& shares) {
  check_plain(x);
  return with_wide_type(x[0], [&](auto zero) {
    using T = decltype(zero);
    const MixtureCall<T> call(x, z, shares);
    const Tensor out = image_like(x[0], sizes_of(x[0]));
    const Tensor rectified = image_like(x[0], sizes_of(x[0]));
    const Tensor statistics = like(x[0], {index(z.size()), 2, x[0].size(1)});
    kernels<MixtureKernels<T>>().mix(call.node, data<T>(statistics), data<T>(out),
                                     data<T>(rectified));
    return std::tuple{out, rectified, statistics};
  });
}

Tensor mixed_node_backward_(const Tensor& grad, const Maybe& rectified, const Maybe& of_rectified,
                            const Tensors& x, const Tensors& z, const Tensor& shares,
                            const Tensor& statistics, const Tensors& of_x, const Tensors& of_z,
                            bool add, bool wants_shares) {
  check_plain(x);
  check_target(grad, "grad", x[0], sizes_of(x[0]));
  check(bool(rectified) == bool(of_rectified), "rectified and of_rectified must come together");
  if (rectified) {
    check_target(*rectified, "rectified", x[0], sizes_of(x[0]));
    check_target(*of_rectified, "of_rectified", x[0], sizes_of(x[0]));
  }
  check_type(statistics, "statistics", x[0]);
  check_size(statistics, "statistics", {index(z.size()), 2, x[0].size(1)});
  check(of_x.size() == x.size(), "of_x must hold ", x.size(), " tensors, got ", of_x.size());
  check(of_z.size() == z.size(), "of_z must hold ", z.size(), " tensors, got ", of_z.size());
  return with_wide_type(x[0], [&](auto zero) {
    using T = decltype(zero);
    const MixtureCall<T> call(x, z, shares);
    std::vector<T*> to_x, to_z;
    for (const Tensor& one : of_x) {
      check_target(one, "of_x", x[0], sizes_of(x[0]));
      to_x.push_back(data<T>(one));
    }
    for (size_t b = 0; b < of_z.size(); ++b) {
      const index row = check_part(of_z[b], "of_z", x[0]);
      check(row == call.branches[b].row, "of_z must have the strides of z");
      to_z.push_back(data<T>(of_z[b]));
    }
    const index count = index(x.size()), each = index(z.size()) / count;
    const Tensor of_shares = like(x[0], {wants_shares ? count : 0, 2 + each});
    std::vector<T> flat(size_t(2 * count) + z.size());
    kernels<MixtureKernels<T>>().differentiate(
        call.node, data<T>(statistics),
        {data<T>(grad), rectified ? data<T>(*rectified) : nullptr,
         of_rectified ? data<T>(*of_rectified) : nullptr, to_x.data(), add, to_z.data(),
         wants_shares ? flat.data() : nullptr});
    T* to = data<T>(of_shares);
    for (index s = 0; wants_shares && s < count; ++s) {
      *to++ = flat[size_t(s)], *to++ = flat[size_t(count + s)];
      for (index k = 0; k < each; ++k) *to++ = flat[size_t(2 * count + s * each + k)];
    }
    return of_shares;
  });
}

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("mixed_node", TORCH_BOX(&stnas::cpu::mixed_node));
  ops.impl("mixed_node_backward_", TORCH_BOX(&stnas::cpu::mixed_node_backward_));
}

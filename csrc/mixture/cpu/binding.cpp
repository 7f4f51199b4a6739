// A mixed node and merged kernels on the CPU: check, allocate, let the kernels do the work.
#include <tuple>

#include "host/dispatch.h"
#include "host/tensors.h"
#include "mixture/problem.h"

namespace stnas::cpu {
namespace {

void check_values_of(const Tensors& x) {
  check(!x.empty(), "x must hold 1 tensor or more, got 0");
  check_plain(x[0], "x", "stnas.ops.mixture.reference.mixed_cell on others");
}

// The result of a convolution, in channels_last order, for at least `parts` edges side by side;
// returns its channels.
index check_parts(const Tensor& z, const char* name, index parts, const Tensor& x) {
  auto sizes = sizes_of(x);
  if (z.dim() == 4) sizes[1] = z.size(1);
  check_target(z, name, x, sizes);
  const index channels = x.size(1);
  check(sizes[1] % channels == 0 && sizes[1] >= parts * channels, name, " must have a multiple of ",
        channels, " channels, ", parts * channels, " or more, got ", sizes[1]);
  return sizes[1];
}

// The node after its checks. shares: a row a source: skip, pool, and one a branch of it. z: of a
// source, for the edge to each later node the channels of x; that to this one comes after as many
// others as there are nodes between.
template <class T>
struct MixtureCall {
  std::vector<MixedSource<T>> sources;
  std::vector<MixedBranch<T>> branches;
  MixedNode<T> node;
  index count, channels;

  MixtureCall(const Tensors& x, const Tensors& z, const Tensors& statistics, const Tensor& shares)
      : count(index(x.size())), channels(x[0].size(1)) {
    const Tensor& first = x[0];
    const index each = index(z.size()) / count;
    check(index(z.size()) == each * count, "z must hold equally many tensors for each of ", count,
          " x, got ", z.size());
    check(statistics.size() == z.size(), "statistics must hold ", z.size(), " tensors, got ",
          statistics.size());
    check_type(shares, "shares", first);
    check_size(shares, "shares", {count, 2 + each});
    const T* share = data<T>(shares);
    for (index s = 0; s < count; ++s, share += 2 + each) {
      check_target(x[size_t(s)], "x", first, sizes_of(first));
      sources.push_back({data<T>(x[size_t(s)]), share[0], share[1]});
      for (index k = 0; k < each; ++k) {
        const Tensor &one = z[size_t(s * each + k)], &own = statistics[size_t(s * each + k)];
        const index row = check_parts(one, "z", count - s, first);
        check_type(own, "statistics", first);
        check_size(own, "statistics", {2, row});
        const T* mean = data<T>(own) + part(s);
        branches.push_back({data<T>(one) + part(s), row, mean, mean + row, share[2 + k]});
      }
    }
    check(first.numel() > first.size(1),
          "x must give more than 1 value per channel, got 1: use a larger batch");
    node = {first.size(0),   first.size(2),          first.size(3),
            first.size(1),   sources.data(),         index(sources.size()),
            branches.data(), index(branches.size()), kExecutor};
  }

  // The channel of the results of source s at which those of the edge to this node begin.
  index part(index s) const { return (count - 1 - s) * channels; }
};

Tensor mixed_node(const Tensors& x, const Tensors& z, const Tensors& statistics,
                  const Tensor& shares) {
  check_values_of(x);
  return with_wide_type(x[0], [&](auto zero) {
    using T = decltype(zero);
    const MixtureCall<T> call(x, z, statistics, shares);
    const Tensor out = image_like(x[0], sizes_of(x[0]));
    kernels<MixtureKernels<T>>().mix(call.node, data<T>(out));
    return out;
  });
}

std::tuple<Tensor, Tensor> mixed_node_backward_(const Tensor& grad, const Tensors& x,
                                                const Tensors& z, const Tensors& statistics,
                                                const Tensor& shares, const Tensors& of_x, bool add,
                                                bool wants_shares) {
  check_values_of(x);
  check_target(grad, "grad", x[0], sizes_of(x[0]));
  check(of_x.size() == x.size(), "of_x must hold ", x.size(), " tensors, got ", of_x.size());
  return with_wide_type(x[0], [&](auto zero) {
    using T = decltype(zero);
    const MixtureCall<T> call(x, z, statistics, shares);
    std::vector<T*> to_x;
    for (const Tensor& one : of_x) {
      check_target(one, "of_x", x[0], sizes_of(x[0]));
      to_x.push_back(data<T>(one));
    }
    const index count = call.count, each = index(z.size()) / count;
    const Tensor of_shares = like(x[0], {wants_shares ? count : 0, 2 + each});
    const Tensor corrections = like(x[0], {index(z.size()), 4, call.channels});
    std::vector<T> flat(size_t(2 * count) + z.size());
    kernels<MixtureKernels<T>>().differentiate(
        call.node, {data<T>(grad), to_x.data(), add, data<T>(corrections),
                    wants_shares ? flat.data() : nullptr});
    T* to = data<T>(of_shares);
    for (index s = 0; wants_shares && s < count; ++s) {
      *to++ = flat[size_t(s)], *to++ = flat[size_t(count + s)];
      for (index k = 0; k < each; ++k) *to++ = flat[size_t(2 * count + s * each + k)];
    }
    return std::tuple{of_shares, corrections};
  });
}

// Kernels to be merged, after their checks: those of each edge, member by member.
template <class T>
struct MergeCall {
  std::vector<const T*> kernels;
  std::vector<index> sizes;
  MergedKernels<T> problem;

  MergeCall(const Tensors& given, const Tensor& shares, index size, bool normalised) {
    check(shares.dim() == 2 && shares.numel() > 0, "shares must have shape [edges, members]");
    const index edges = shares.size(0), members = shares.size(1);
    check(index(given.size()) == edges * members, "kernels must hold ", edges * members,
          " tensors, got ", given.size());
    check(shares.is_cpu() && (shares.scalar_type() == ScalarType::Float ||
                              shares.scalar_type() == ScalarType::Double),
          "shares must be float32 or float64 on the CPU");
    check_size(shares, "shares", {edges, members});
    check(given[0].dim() == 4, "kernels must have 4 dimensions, got ", given[0].dim());
    const index channels = given[0].size(0), depth = given[0].size(1);
    for (size_t i = 0; i < given.size(); ++i) {
      check_same_type(given[i], "kernels", shares);
      if (index(i) < members) sizes.push_back(given[i].dim() == 4 ? given[i].size(3) : 0);
      const index own = sizes[i % size_t(members)];
      check(own % 2 == 1 && own <= size, "kernels must have an odd size of ", size,
            " at most, got ", own);
      check_size(given[i], "kernels", {channels, depth, own, own});
      kernels.push_back(data<T>(given[i]));
    }
    check(size % 2 == 1, "size must be odd, got ", size);
    problem = {kernels.data(), sizes.data(), data<T>(shares), edges,    members, channels,
               depth,          size,         normalised,      kExecutor};
  }
};

Tensor merge_kernels(const Tensors& kernels_, const Tensor& shares, index size, bool normalised) {
  return with_wide_type(shares, [&](auto zero) {
    using T = decltype(zero);
    const MergeCall<T> call(kernels_, shares, size, normalised);
    const auto& p = call.problem;
    const Tensor out = like(shares, {p.edges * p.channels, p.depth, size, size});
    kernels<MixtureKernels<T>>().merge(p, data<T>(out));
    return out;
  });
}

std::tuple<Tensors, Tensor> merge_kernels_backward(const Tensor& grad, const Tensors& kernels_,
                                                   const Tensor& shares, index size,
                                                   bool normalised) {
  return with_wide_type(shares, [&](auto zero) {
    using T = decltype(zero);
    const MergeCall<T> call(kernels_, shares, size, normalised);
    const auto& p = call.problem;
    check_same_type(grad, "grad", shares);
    check_size(grad, "grad", {p.edges * p.channels, p.depth, size, size});
    Tensors of_kernels;
    std::vector<T*> to;
    for (const Tensor& one : kernels_) {
      of_kernels.push_back(like(shares, sizes_of(one)));
      to.push_back(data<T>(of_kernels.back()));
    }
    const Tensor of_shares = like(shares, sizes_of(shares));
    kernels<MixtureKernels<T>>().differentiate_merge(p, data<T>(grad), to.data(),
                                                     data<T>(of_shares));
    return std::tuple{of_kernels, of_shares};
  });
}

}  // namespace
}  // namespace stnas::cpu

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("mixed_node", TORCH_BOX(&stnas::cpu::mixed_node));
  ops.impl("merge_kernels", TORCH_BOX(&stnas::cpu::merge_kernels));
  ops.impl("merge_kernels_backward", TORCH_BOX(&stnas::cpu::merge_kernels_backward));
  ops.impl("mixed_node_backward_", TORCH_BOX(&stnas::cpu::mixed_node_backward_));
}

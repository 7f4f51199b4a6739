// A call of half a separable convolution: its tensors checked, and pointed at.
#pragma once

#include "host/tensors.h"
#include "separable/problem.h"

namespace stnas::cpu {

template <class T>
struct SeparableCall {
  std::vector<Term<T>> terms;
  SeparableProblem<T> problem{};

  SeparableCall(const Tensors& xs, const Tensors& kernels, const std::vector<index>& strides,
                const std::vector<index>& grids, const std::vector<index>& shifts,
                const Tensor& pointwise, const Maybe& scale, const Maybe& weight,
                const Maybe& bias) {
    const Tensor& x = xs.front();
    const index channels = x.size(1);
    for (size_t t = 0; t < xs.size(); ++t) {
      add_term(xs[t], kernels[t], strides[t], grids[t], shifts[t], x);
      const index height = rounded(terms[t].height, strides[t]);
      const index width = rounded(terms[t].width, strides[t]);
      if (t == 0) problem.height = height, problem.width = width;
      check(height == problem.height && width == problem.width,
            "strides must give all terms one size, got ", height, " x ", width, " beside ",
            problem.height, " x ", problem.width);
    }
    check_type(pointwise, "pointwise", x);
    check(pointwise.dim() == 4 && pointwise.size(0) > 0,
          "pointwise must have shape [C_out, C_in, 1, 1]");
    problem.out = pointwise.size(0);
    check_size(pointwise, "pointwise", {problem.out, channels, 1, 1});
    if (scale) {
      check_type(*scale, "scale", x);
      check(scale->numel() == 1, "scale must have 1 value, got ", scale->numel());
      problem.scale = data<T>(*scale);
    }
    problem.norm_weight = per_channel(weight, "weight", x);
    problem.norm_bias = per_channel(bias, "bias", x);
    problem.images = x.size(0), problem.in = channels;
    problem.terms = terms.data(), problem.count = index(terms.size());
    problem.weight = data<T>(pointwise);
    problem.executor = kExecutor;
    check(problem.images * problem.pixels() > 1,
          "x must give more than 1 value per channel, got 1: use a larger batch");
  }

  std::vector<index> out_sizes() const {
    return {problem.images, problem.out, problem.height, problem.width};
  }
  std::vector<index> moments() const { return {1 + problem.in, problem.in}; }
  std::vector<index> statistics() const { return {2, problem.out}; }

 private:
  const T* per_channel(const Maybe& values, const char* name, const Tensor& x) const {
    if (!values) return nullptr;
    check_type(*values, name, x);
    check_size(*values, name, {problem.out});
    return data<T>(*values);
  }

  static index rounded(index side, index stride) { return (side + stride - 1) / stride; }

  void add_term(const Tensor& own, const Tensor& kernel, index stride, index grid, index shift,
                const Tensor& x) {
    check_same_type(own, "xs", x);
    check(own.dim() == 4 && own.size(0) == x.size(0) && own.size(1) == x.size(1),
          "xs must have as many images and channels each, ", x.size(0), " and ", x.size(1));
    check_image(own, "xs", sizes_of(own));
    check_type(kernel, "kernels", x);
    const bool bare = kernel.numel() == 0;
    const index side = bare || kernel.dim() != 4 ? 0 : kernel.size(3);
    check(bare || side == 3 || side == 5,
          "kernels must have shape [C, 1, K, K] with K 3 or 5, or be empty, got K ", side);
    if (!bare) check_size(kernel, "kernels", {x.size(1), 1, side, side});
    check(shift == 0 || (bare && shift == 1 && stride == 2),
          "shifts must be 0, or 1 for an empty kernel at stride 2, got ", shift);
    check(!bare || grid == 1, "grids must be 1 for an empty kernel, got ", grid);
    check(stride == 1 || stride == 2, "strides must be 1 or 2, got ", stride);
    check(grid == 1 || grid == 2, "grids must be 1 or 2, got ", grid);
    terms.push_back({data<T>(own), bare ? nullptr : data<T>(kernel), side, stride, grid, shift,
                     own.size(2), own.size(3)});
  }
};

}  // namespace stnas::cpu

// A call of the shuffle block: its tensors checked, and pointed at.
#pragma once

#include "host/tensors.h"
#include "shuffle/problem.h"

namespace stnas::cpu {

// Adds the layers of a head that reads `in` channels of x; its first depthwise convolution has the
// stride.
template <class T>
void add_head(const Tensor& x, const Tensor* weights, index count, index in, index stride,
              std::vector<HeadLayer<T>>& to) {
  check(count >= 1 && count <= kMostLayers, "a head must have 1 to ", kMostLayers, " weights, got ",
        count);
  index height = x.size(2), width = x.size(3);
  bool wants_pointwise = false, wants_depthwise = false;
  for (index i = 0; i < count; ++i) {
    const Tensor& weight = weights[i];
    check_type(weight, "weights", x);
    check(weight.dim() == 4 && weight.size(0) > 0, "weights must have shape [C_out, C_in, K, K]");
    const index channels = weight.size(0), kernel = weight.size(3);
    const bool depthwise = kernel > 1;
    check(kernel == 1 || kernel == 3 || kernel == 5 || kernel == 7,
          "weights must have kernel 1, 3, 5 or 7, got ", kernel);
    check(!(depthwise ? wants_pointwise : wants_depthwise),
          "weights must be 1x1 and depthwise convolutions in turn");
    check_size(weight, "weights", {depthwise ? in : channels, depthwise ? 1 : in, kernel, kernel});
    to.push_back({data<T>(weight),
                  {},
                  in,
                  channels,
                  kernel,
                  depthwise ? stride : 1,
                  height,
                  width,
                  nullptr,
                  nullptr});
    if (depthwise) stride = 1;
    wants_pointwise = depthwise, wants_depthwise = !depthwise;
    in = channels, height = to.back().out_height(), width = to.back().out_width();
  }
  check(!wants_pointwise, "weights of a head must end with a 1x1 convolution");
}

// The layers of both heads, main's first. What kernels write has null pointers until it is set.
template <class T>
struct ShuffleCall {
  const Tensor& x;
  std::vector<HeadLayer<T>> layers;
  index main, rest;

  // main: how many of the weights the first head has; the others are the second's.
  ShuffleCall(const Tensor& image, const Tensors& weights, index of_main,
              const std::vector<Maybe>& affine, index stride)
      : x(image), main(of_main), rest(index(weights.size()) - main) {
    check_image(x, "x", sizes_of(x));
    const index channels = x.size(1);
    check(rest >= 0, "main must be at most the number of weights, ", weights.size(), ", got ",
          main);
    check(stride == 1 || (stride == 2 && rest > 0),
          "stride must be 1, or 2 where there are two heads, got ", stride);
    check(rest > 0 || channels % 2 == 0,
          "x must have an even number of channels where half of them pass by, got ", channels);
    add_head(x, weights.data(), main, rest ? channels : channels / 2, stride, layers);
    if (rest) add_head(x, weights.data() + main, rest, channels, stride, layers);
    check(!rest || (last().out_height() == layers.back().out_height() &&
                    last().out_width() == layers.back().out_width()),
          "weights must give both heads one stride");
    set_affine(affine);
  }

  const HeadLayer<T>& last() const { return layers[size_t(main - 1)]; }
  // Channels of the result before main's.
  index target() const { return rest ? layers.back().out : x.size(1) / 2; }
  std::vector<index> out_sizes() const {
    return {x.size(0), target() + last().out, last().out_height(), last().out_width()};
  }
  // Numbers that a layer keeps for the gradient.
  index values_of(size_t i) const {
    const HeadLayer<T>& layer = layers[i];
    return x.size(0) * layer.blocks() * layer.out_pixels() * kBlock;
  }
  index statistics() const {
    index total = 0;
    for (const auto& layer : layers) total += 2 * layer.out;
    return total;
  }

  // Points the layers at what they keep: take(i) gives the memory of a layer's values.
  template <class Take>
  void keep(const Take& take, T* statistics) {
    for (size_t i = 0; i < layers.size(); ++i) {
      layers[i].values = take(i);
      layers[i].statistics = statistics;
      statistics += 2 * layers[i].out;
    }
  }

  // Points the norms at running means and variances.
  void set_running(const Tensors& running) {
    check(running.size() == 2 * layers.size(), "running must hold ", 2 * layers.size(),
          " tensors, got ", running.size());
    for (size_t i = 0; i < running.size(); ++i) {
      HeadLayer<T>& layer = layers[i / 2];
      const char* name = i % 2 ? "running_var" : "running_mean";
      check_type(running[i], name, x);
      check_size(running[i], name, {layer.out});
      (i % 2 ? layer.norm.var : layer.norm.mean) = data<T>(running[i]);
    }
  }

  ShuffleProblem<T> problem() const {
    return {data<T>(x),
            x.size(0),
            x.size(2),
            x.size(3),
            x.size(1),
            target() + last().out,
            {{layers.data(), main, target()}, {layers.data() + main, rest, 0}},
            rest ? 2 : 1,
            kExecutor};
  }

 private:
  void set_affine(const std::vector<Maybe>& affine) {
    check(affine.size() == 2 * layers.size(), "affine must hold ", 2 * layers.size(),
          " tensors or None, got ", affine.size());
    for (size_t i = 0; i < affine.size(); ++i) {
      if (!affine[i]) continue;
      HeadLayer<T>& layer = layers[i / 2];
      check_type(*affine[i], "affine", x);
      check_size(*affine[i], "affine", {layer.out});
      (i % 2 ? layer.norm.bias : layer.norm.weight) = data<T>(*affine[i]);
    }
  }
};

}  // namespace stnas::cpu

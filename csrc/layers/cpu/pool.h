// The mean over the pixels of every image, NHWC, and its gradient.
#pragma once

#include "host/parallel.h"

namespace stnas::cpu::STNAS_ISA {

template <class T>
void pool(const Node<T>& node, T* out) {
  const index pixels = node.height * node.width, channels = node.channels;
  const T share = T(1) / T(pixels);
  parallel(node.executor, node.images, node.images * pixels * channels / kLanes, [&](index image) {
    const T* x = node.x + image * pixels * channels;
    for_each_panel(channels, [&](auto lanes, index j) {
      auto sum = zero<T, lanes>();
      for (index q = 0; q < pixels; ++q)
        sum = sum + load<lanes>(x + q * channels + j, channels - j);
      store(out + image * channels + j, sum * broadcast<lanes>(share), channels - j);
    });
  });
}

// grad_x[image, pixel, :] = grad[image, :] / pixels.
template <class T>
void pool_gradient(const Node<T>& node, const T* grad, T* grad_x) {
  const index pixels = node.height * node.width, channels = node.channels;
  const T share = T(1) / T(pixels);
  parallel(node.executor, node.images, node.images * pixels * channels / kLanes, [&](index image) {
    for_each_panel(channels, [&](auto lanes, index j) {
      const auto value =
          load<lanes>(grad + image * channels + j, channels - j) * broadcast<lanes>(share);
      for (index q = 0; q < pixels; ++q)
        store(grad_x + (image * pixels + q) * channels + j, value, channels - j);
    });
  });
}

}  // namespace stnas::cpu::STNAS_ISA

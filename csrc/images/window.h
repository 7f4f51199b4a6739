// A window of a padded image, mirrored or not, in numbers: plain pointers, no torch.
#pragma once

#include <algorithm>
#include <cstdint>

#include "host/numbers.h"

namespace stnas::images {

using cpu::index;

// Images of bytes, [channel][row][column]; their values v become (v - centre) * scale.
struct Source {
  index channels, height, width, padding;
  const float *centre, *scale;

  index size() const { return channels * height * width; }
};

// Where the window begins in the image with `padding` black pixels on each side.
struct Place {
  index top, left;
  bool mirrored;
};

// The window, of the image's own size, into `out` [row][column][channel].
inline void take_window(const Source& from, const Place& at, const uint8_t* image, float* out) {
  const index width = from.width, shift = at.left - from.padding;
  // Columns of the window, before it is mirrored, that lie in the image.
  const index begin = std::clamp<index>(-shift, 0, width);
  const index end = std::clamp<index>(width - shift, 0, width);
  for (index y = 0; y < from.height; ++y) {
    const index row = y + at.top - from.padding;
    const bool inside = row >= 0 && row < from.height;
    for (index c = 0; c < from.channels; ++c) {
      const float centre = from.centre[c], scale = from.scale[c], black = (0 - centre) * scale;
      const uint8_t* values = image + (c * from.height + (inside ? row : 0)) * width;
      float* first = out + y * width * from.channels + c;
      const auto put = [&](index x, float value) {
        first[(at.mirrored ? width - 1 - x : x) * from.channels] = value;
      };
      const index left = inside ? begin : width, right = inside ? end : width;
      for (index x = 0; x < left; ++x) put(x, black);
      for (index x = left; x < right; ++x) put(x, (float(values[x + shift]) - centre) * scale);
      for (index x = right; x < width; ++x) put(x, black);
    }
  }
}

}  // namespace stnas::images

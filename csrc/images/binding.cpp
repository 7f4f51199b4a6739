// Batches of images in memory: check, allocate, take the window of each.
#include "images/window.h"

#include <torch/csrc/stable/library.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "host/tensors.h"

namespace stnas::images {
namespace {

using cpu::data, cpu::Maybe, cpu::ScalarType, cpu::Tensor;
using Numbers = std::vector<double>;

constexpr index kWorthSharing = 1 << 16;  // pixels of a thread

void check_indices(const Tensor& values, const char* name, const std::vector<index>& sizes) {
  check(values.is_cpu() && values.scalar_type() == ScalarType::Long && values.is_contiguous() &&
            cpu::sizes_of(values) == sizes,
        name, " must be int64 on the CPU, one for each row: see crop_mirror_normalise");
}

void check_images(const Tensor& images, const Numbers& mean, const Numbers& std) {
  check(images.is_cpu() && images.scalar_type() == ScalarType::Byte && images.dim() == 4 &&
            images.is_contiguous(),
        "images must be contiguous uint8 [N, C, H, W] on the CPU");
  const size_t channels = size_t(images.size(1));
  check(mean.size() == channels && std.size() == channels,
        "mean and std must have one number for each of the ", channels, " channels, got ",
        mean.size(), " and ", std.size(), ": take those of the data set");
}

// `offsets` [2, rows], each in [0, 2 padding].
void check_offsets(const Tensor& offsets, index rows, index padding) {
  check_indices(offsets, "offsets", {2, rows});
  const auto* values = data<index>(offsets);
  for (index i = 0; i < 2 * rows; ++i)
    check(values[i] >= 0 && values[i] <= 2 * padding, "offsets must lie in [0, ", 2 * padding,
          "], got ", values[i]);
}

void check_rows(const Tensor& rows, index images) {
  check_indices(rows, "rows", {rows.numel()});
  const auto* values = data<index>(rows);
  for (index i = 0; i < rows.numel(); ++i)
    if (values[i] < 0 || values[i] >= images)
      throw std::out_of_range("rows must lie in [0, " + std::to_string(images) + "), got " +
                              std::to_string(values[i]));
}

Tensor crop_mirror_normalise(const Tensor& images, const Tensor& rows, const Maybe& offsets,
                             const Maybe& mirrored, index padding, const Numbers& mean,
                             const Numbers& std) {
  check_images(images, mean, std);
  check(padding >= 0, "padding must be 0 or more, got ", padding);
  const index count = rows.numel();
  check_rows(rows, images.size(0));
  if (offsets) check_offsets(*offsets, count, padding);
  check(!mirrored || (mirrored->is_cpu() && mirrored->scalar_type() == ScalarType::Bool &&
                      mirrored->is_contiguous() && mirrored->numel() == count),
        "mirrored must be bool on the CPU, one for each row");
  std::vector<float> centre, scale;
  for (size_t c = 0; c < mean.size(); ++c) {
    centre.push_back(float(mean[c]) * 255.0f);
    scale.push_back(1.0f / (float(std[c]) * 255.0f));
  }
  const Source from{images.size(1), images.size(2), images.size(3),
                    padding,        centre.data(),  scale.data()};
  const Tensor out =
      cpu::image_like(images, {count, from.channels, from.height, from.width}, ScalarType::Float);
  const auto* bytes = data<uint8_t>(images);
  const auto* which = data<index>(rows);
  const auto* starts = offsets ? data<index>(*offsets) : nullptr;
  const auto* flips = mirrored ? data<bool>(*mirrored) : nullptr;
  auto* to = data<float>(out);
  const index grain = kWorthSharing / std::max<index>(1, from.size()) + 1;
  torch::stable::parallel_for(0, count, grain, [&](index begin, index end) {
    for (index i = begin; i < end; ++i) {
      const Place at{starts ? starts[i] : padding, starts ? starts[count + i] : padding,
                     flips && flips[i]};
      take_window(from, at, bytes + which[i] * from.size(), to + i * from.size());
    }
  });
  return out;
}

}  // namespace
}  // namespace stnas::images

STABLE_TORCH_LIBRARY_IMPL(stnas, CPU, ops) {
  ops.impl("crop_mirror_normalise", TORCH_BOX(&stnas::images::crop_mirror_normalise));
}

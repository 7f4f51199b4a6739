// All blocks of an architecture, forward and backward, on every device.
//
// Beside what operators.h asks for, a Device adds images up: `sum`.
#pragma once

#include <algorithm>
#include <utility>

#include "bottleneck/gradient_operators.h"
#include "bottleneck/image_sum.h"
#include "bottleneck/operators.h"
#include "bottleneck/path_plan.h"

namespace stnas::cpu {

inline void check_count(const char* name, size_t given, size_t blocks, size_t each) {
  check(given == blocks * each, name, " must hold ", each, " for each of ", blocks, " blocks, got ",
        given);
}

// The parameters of all blocks; no affine ones where no block has any.
struct PathParameters {
  const Tensors& weights;
  const Affine& affine;

  void check(const PathPlan& plan) const {
    check_count("weights", weights.size(), plan.blocks, kBlockWeights);
    if (!affine.empty()) check_count("affine", affine.size(), plan.blocks, kBlockNorms);
  }
  Affine affine_of(const PathStep& step) const {
    if (affine.empty()) return Affine(kBlockNorms);
    const auto first = affine.begin() + index(step.block * kBlockNorms);
    return {first, first + kBlockNorms};
  }
  Block block(const PathStep& step, const Tensor& x, const Affine& own,
              const std::string& activation) const {
    return {x,          weights_at(weights.data() + step.block * kBlockWeights),
            own,        step.stride,
            activation, step.residual};
  }
};

// out = (parts[0] + parts[1] + ...) / divisor; out may be one of the parts.
template <class Device>
void sum(const Tensor& out, const Tensors& parts, index divisor) {
  with_type(out, [&](auto zero) {
    using S = decltype(zero);
    std::vector<const S*> pointers;
    for (const Tensor& part : parts) pointers.push_back(data<S>(part));
    const index channels = out.size(1);
    Device(out).sum(ImageSum<S>{pointers.data(), index(parts.size()), Wide<S>(divisor),
                                data<S>(out), out.numel() / channels, channels});
  });
}

inline Tensor image_beside(const Tensor& x) { return image_like(x, sizes_of(x)); }

template <class Device>
class PathForward {
 public:
  PathForward(const Tensor& x, const PathParameters& parameters, const Tensors& running,
              const std::vector<double>& momenta, PathPlan plan, const std::string& activation,
              bool keep)
      : parameters_(parameters),
        running_(running),
        momenta_(momenta),
        plan_(std::move(plan)),
        activation_(activation),
        keep_(keep),
        values_(size_t(plan_.values)),
        moments_(size_t(plan_.values)),
        wanted_(size_t(plan_.values)) {
    parameters.check(plan_);
    check_count("running", running.size(), plan_.tracked, kBlockNorms);
    check_count("momenta", momenta.size(), plan_.blocks, 1);
    values_[0] = x;
    for (const PathStep& step : plan_.steps) {
      if (!step.is_block()) continue;
      const Tensor& expand = parameters.weights[step.block * kBlockWeights];
      if (!stores_expanded(expand.size(1), expand.size(0))) wanted_[size_t(step.source)] = true;
    }
  }

  // The values of the targets, or only the last, what the gradients need, and the moved statistics.
  std::tuple<Tensors, Tensors, Tensors> run() {
    if (wanted_[0]) moments_[0] = node_moments<Device>(*values_[0]);
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const PathStep& step = plan_.steps[i];
      const bool gather = wanted_[size_t(step.target)] && plan_.is_last(i);
      step.is_block() ? add_block_of(step, gather) : add_identity(step, gather);
      if (!keep_) forget(step, i);
    }
    Tensors out;
    for (size_t i = keep_ ? 1 : values_.size() - 1; i < values_.size(); ++i)
      out.push_back(*values_[i]);
    return {out, kept_, moved_};
  }

 private:
  const Tensor& value(index i) const { return *values_[size_t(i)]; }

  void add_block_of(const PathStep& step, bool gather) {
    const Tensor& x = value(step.source);
    const Affine affine = parameters_.affine_of(step);
    const Block block = parameters_.block(step, x, affine, activation_);
    const Shape& s = block.shape;
    check(s.images * s.out_pixels() > 1,
          "x must give more than 1 value per channel when training, got 1: use a larger batch");
    Maybe &into = values_[size_t(step.target)], &gathered = moments_[size_t(step.target)];
    if (!into) into = image_like(x, block.out_sizes());
    if (gather) gathered = like_sums(x, {1 + s.out, s.out});
    Tensors also, running;
    for (index other : step.also) also.push_back(value(other));
    for (size_t i = 0; step.tracked && i < kBlockNorms; ++i)
      running.push_back(torch::stable::clone(running_[step.running * kBlockNorms + i]));
    moved_.insert(moved_.end(), running.begin(), running.end());
    std::optional<SavedPiece> saved;
    if (keep_) {
      saved = SavedPiece::allocate(x, s);
      kept_.push_back(saved->memory);
    }
    const Maybe& moments = moments_[size_t(step.source)];
    const Destination to{
        *into, step.add, std::move(also), double(step.divisor), running, momenta_[step.block]};
    add_block<Device>(block, to, saved ? &*saved : nullptr, moments ? &*moments : nullptr,
                      gather ? &*gathered : nullptr);
  }

  void add_identity(const PathStep& step, bool gather) {
    const Tensor& x = value(step.source);
    Maybe& into = values_[size_t(step.target)];
    Tensors parts;
    if (into) parts.push_back(*into);
    parts.push_back(x);
    for (index other : step.also) parts.push_back(value(other));
    if (!into) into = image_beside(x);
    for (const Tensor& part : parts)
      check_target(part, "an identity's source", *into, sizes_of(*into));
    sum<Device>(*into, parts, step.divisor);
    if (gather) moments_[size_t(step.target)] = node_moments<Device>(*into);
  }

  // Lets values go that no later step reads.
  void forget(const PathStep& step, size_t i) {
    const auto drop = [&](index value) {
      if (plan_.is_last_use(value, i)) values_[size_t(value)].reset();
    };
    drop(step.source);
    std::for_each(step.also.begin(), step.also.end(), drop);
  }

  PathParameters parameters_;
  const Tensors& running_;
  const std::vector<double>& momenta_;
  PathPlan plan_;
  const std::string& activation_;
  bool keep_;
  std::vector<Maybe> values_, moments_;
  std::vector<bool> wanted_;  // nodes whose moments a block reads
  Tensors kept_, moved_;
};

template <class Device>
std::tuple<Tensors, Tensors, Tensors> linear_bottleneck_path(
    const Tensor& x, const Tensors& weights, const Affine& affine, const Tensors& running,
    const std::vector<double>& momenta, const std::vector<index>& plan,
    const std::string& activation, bool keep) {
  check_values(x);
  check_image(x, "x", sizes_of(x));
  return PathForward<Device>(x, {weights, affine}, running, momenta, PathPlan(plan), activation,
                             keep)
      .run();
}

}  // namespace stnas::cpu

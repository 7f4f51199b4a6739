// What an architecture's blocks are applied to, read from the integers of a plan and checked.
#pragma once

#include <vector>

#include "host/check.h"
#include "host/numbers.h"

namespace stnas::cpu {

// value[target] = ([value[target] +] f(value[source]) [+ value[also]...]) / divisor, where f is the
// block of this stride, or the identity where the stride is 0. Value 0 is x.
struct PathStep {
  index source, target, stride;
  bool residual, tracked;  // whether the block has running statistics
  index divisor;
  std::vector<index> also;
  bool add;               // the target has a value already
  size_t block, running;  // how many blocks, and blocks with running statistics, came before

  bool is_block() const { return stride != 0; }
};

// Steps as source, target, stride, residual, tracked, divisor, count of also, also...
class PathPlan {
 public:
  std::vector<PathStep> steps;
  index values = 1;
  size_t blocks = 0, tracked = 0;

  explicit PathPlan(const std::vector<index>& plan) {
    for (size_t at = 0; at < plan.size();) {
      check(plan.size() - at >= kHead, "plan must have ", kHead, " numbers for a step, got ",
            plan.size() - at);
      const index* head = plan.data() + at;
      const index count = head[kHead - 1];
      at += kHead;
      check(count >= 0 && size_t(count) <= plan.size() - at,
            "plan must list what a step adds, got ", plan.size() - at, " of ", count);
      append({head[0],
              head[1],
              head[2],
              head[3] != 0,
              head[4] != 0,
              head[5],
              {plan.begin() + index(at), plan.begin() + index(at) + count},
              false,
              blocks,
              tracked});
      at += size_t(count);
    }
    check(!steps.empty() && steps.back().target == values - 1,
          "plan must end with a step to its last value");
  }

  // Whether this is the last step to its target, given its place.
  bool is_last(size_t step) const { return last_[size_t(steps[step].target)] == step; }
  // Whether no later step reads a value that this one reads.
  bool is_last_use(index value, size_t step) const { return used_[size_t(value)] == step + 1; }

 private:
  static constexpr size_t kHead = 7;

  void append(PathStep step) {
    check(step.target >= 1 && step.target <= values,
          "plan must number values as they come, got a step to ", step.target, " after ",
          values - 1);
    check(step.divisor >= 1, "plan must divide by 1 or more, got ", step.divisor);
    check(step.is_block() || !step.tracked, "plan must keep statistics of blocks alone");
    use(step.source, step.target);
    for (index value : step.also) use(value, step.target);
    step.add = step.target < values;
    if (!step.add) {
      ++values;
      last_.resize(size_t(values));
      used_.resize(size_t(values));
    }
    check(!used_[size_t(step.target)],
          "plan must complete a value before it is read, got a step to ", step.target,
          " after that");
    last_[size_t(step.target)] = steps.size();
    blocks += step.is_block();
    tracked += step.tracked;
    steps.push_back(std::move(step));
  }
  void use(index value, index target) {
    check(value >= 0 && value < values && value != target,
          "plan must read values that are there, got ", value, " at a step to ", target);
    used_[size_t(value)] = steps.size() + 1;
  }

  std::vector<size_t> last_{0}, used_{0};  // by value; used_: one more, 0 where nothing reads it
};

}  // namespace stnas::cpu

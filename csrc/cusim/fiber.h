// Threads of a block as fibers: one stack each, switched by hand, because a switch by the operating
// system takes a thousand times as long as what a CUDA thread does between two barriers.
#pragma once

#include <cstddef>

namespace cusim {

struct Fiber {
  char* stack = nullptr;  // its lowest address; the page below faults
  void* left_at = nullptr;
  void* sanitizer = nullptr;
};

// Gives a fiber a stack, or cleans the one it has, and lets it begin at `entry` when it is entered.
void prepare(Fiber& fiber, void (*entry)());

// Runs a fiber until it leaves. `entry` must never return: it leaves for good.
void enter(Fiber& fiber);
void leave(Fiber& fiber, bool for_good = false);

// Lets a stack be used again whose frames never returned.
void abandon(Fiber& fiber);

// Whether an address lies on the stack of any fiber.
bool on_fiber_stack(const void* address);

}  // namespace cusim

// What the machine keeps of the block it runs. Not for kernels.
#pragma once

#include <string>
#include <vector>

#include "cusim/fiber.h"
#include "cusim/machine.h"

namespace cusim {

constexpr unsigned kWarp = 32;

enum class Wait : uint8_t { none, block, warp, returned };

struct Thread {
  Fiber fiber;
  Wait wait = Wait::returned;
  Index index;
  unsigned number = 0, lane = 0, warp = 0;
  // Of the barrier or exchange it waits at.
  const char* operation = nullptr;
  Site site;
  unsigned mask = 0;
  const void* sent = nullptr;
  size_t bytes = 0;
  void* received = nullptr;
};

struct SharedArray {
  const void* key;
  size_t begin, bytes;
};

struct Machine {
  Order order = Order::forward;
  uint64_t seed = 0;
  const char* kernel = nullptr;
  Index grid, block, at;
  Body body{};
  std::vector<Thread> threads;   // as many as the largest block had
  std::vector<unsigned> turns;   // numbers of the threads in the order of their turns
  unsigned count = 0, live = 0;  // threads of this block; those that have not returned
  Thread* current = nullptr;
  uint64_t launches = 0, block_number = 0;
  unsigned barriers = 0;                // that the block has passed
  std::vector<unsigned> warp_barriers;  // that each warp has passed
  unsigned waiting = 0;
  int vote = 0, outcome = 0;
  char* shared = nullptr;
  size_t dynamic_bytes = 0, shared_end = 0;
  std::vector<SharedArray> arrays;
  std::string error;
};
extern Machine machine;

constexpr size_t kSharedMemory = 256 << 10;  // of the machine; a block may use less

// Empties the shared memory for a block; barriers and exchanges that a thread's return completes.
void reset_shared();
void returned(Thread& thread);
std::string where(const Thread& thread);

// The checker's, or nothing.
void block_ended();
std::vector<std::string> take_reports();

}  // namespace cusim

// The machine that runs CUDA kernels on the processor, as the source of a kernel sees it. It lies
// behind calls, so that a kernel can be compiled with the checker's instrumentation and the machine
// without.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>

namespace cusim {

using Site = std::source_location;

struct Index {
  unsigned x = 1, y = 1, z = 1;
};

// What a kernel did wrong: where, in which thread, and what.
struct Error : std::runtime_error {
  using runtime_error::runtime_error;
};

// In which order later launches run the blocks, and the threads of a block between two barriers. A
// result that depends on it is wrong.
enum class Order : int { forward, reverse, shuffled };
void schedule(Order order, uint64_t seed = 0);

// Runs body(context) in every thread of the grid; throws Error for a broken rule.
struct Body {
  void (*run)(void* context);
  void* context;
};
void launch(const char* kernel, Index grid, Index block, size_t dynamic_bytes, Body body);

// Of the thread that asks.
Index thread_index();
Index block_index();
Index block_size();
Index grid_size();
unsigned lane();

// Waits for every thread of the block and joins their predicates.
enum class Vote { count, all, any };
int block_barrier(const char* operation, Vote vote, int predicate, Site site);

// Waits for the lanes in `mask` and gives each what every lane sent: received[32][bytes]. Lanes
// outside the mask send nothing.
void exchange(const char* operation, unsigned mask, const void* sent, size_t bytes, void* received,
              Site site);
void warp_barrier(unsigned mask, Site site);

// One array per block and key, filled with NaN.
void* shared_array(const void* key, size_t bytes);
void* dynamic_shared();

[[noreturn]] void fail(const std::string& message);

// The checker's, where the build has one: memory that kernels may touch until `forget`; `written`
// says whether it holds values. Atomic accesses are named by hand.
void track(const void* memory, size_t bytes, const char* name, bool written);
void forget();
void atomic_access(const void* memory, unsigned bytes);

// Loads and stores by source line since the last call, as JSON; empty without the checker.
std::string traffic();

}  // namespace cusim

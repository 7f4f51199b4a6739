#include "host/scratch.h"

#include <memory>
#include <new>
#include <vector>

namespace stnas::cpu {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSmallest = size_t{1} << 20;

struct Free {
  void operator()(void* memory) const { ::operator delete(memory, std::align_val_t{kAlignment}); }
};

struct Block {
  std::unique_ptr<void, Free> memory;
  size_t size;
};

// Blocks are added while they are too small together; an empty stack joins them to one, so that
// soon one block, no larger than the most that was taken at once, serves every call.
struct Stack {
  std::vector<Block> blocks;
  size_t block = 0, used = 0, least = kSmallest;

  void join() {
    if (blocks.size() < 2) return;
    size_t total = 0;
    for (const Block& each : blocks) total += each.size;
    blocks.clear();
    least = total;
  }
};

thread_local Stack stack;

}  // namespace

Scratch::Scratch() : block_(stack.block), used_(stack.used) {}

Scratch::~Scratch() {
  stack.block = block_;
  stack.used = used_;
  if (block_ == 0 && used_ == 0) stack.join();
}

void* Scratch::take_bytes(size_t bytes) {
  bytes = (bytes + 2 * kAlignment - 1) / kAlignment * kAlignment;
  while (stack.block < stack.blocks.size() && stack.used + bytes > stack.blocks[stack.block].size) {
    ++stack.block;
    stack.used = 0;
  }
  if (stack.block == stack.blocks.size()) {
    const size_t least = stack.blocks.empty() ? stack.least : kSmallest;
    const size_t size = bytes > least ? bytes : least;
    void* memory = ::operator new(size, std::align_val_t{kAlignment});
    stack.blocks.push_back({std::unique_ptr<void, Free>(memory), size});
    stack.used = 0;
  }
  void* taken = static_cast<char*>(stack.blocks[stack.block].memory.get()) + stack.used;
  stack.used += bytes;
  return taken;
}

}  // namespace stnas::cpu

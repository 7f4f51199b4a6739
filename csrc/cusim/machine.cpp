// Launches: limits, the order of blocks and threads, deadlock.
#include <algorithm>
#include <random>

#include "cusim/state.h"

namespace cusim {

Machine machine;

namespace {

void require(bool rule, const std::string& message) {
  if (!rule) throw Error(std::string(machine.kernel) + ": " + message);
}

// Limits of compute capability 8.0, the smallest that is built for; a launch may not go beyond any.
void check_limits(Index grid, Index block, size_t dynamic_bytes) {
  const size_t threads = size_t{block.x} * block.y * block.z;
  require(
      threads >= 1 && threads <= 1024 && block.z <= 64,
      "a block must have 1 to 1024 threads and at most 64 in z, got " + std::to_string(threads));
  require(grid.x >= 1 && grid.y >= 1 && grid.z >= 1 && grid.x <= 0x7fffffffu && grid.y <= 65535 &&
              grid.z <= 65535,
          "a grid must have 1 to 2^31 - 1 blocks in x and 1 to 65535 in y and z, got " +
              std::to_string(grid.x) + ", " + std::to_string(grid.y) + ", " +
              std::to_string(grid.z));
  require(dynamic_bytes <= 163 << 10, "dynamic shared memory must be at most 163 KiB, got " +
                                          std::to_string(dynamic_bytes) + " bytes");
}

void fiber_main() {
  Thread& thread = *machine.current;
  machine.body.run(machine.body.context);
  returned(thread);
  leave(thread.fiber, true);
}

void start_block() {
  Machine& m = machine;
  m.live = m.count;
  m.barriers = m.waiting = 0;
  m.warp_barriers.assign((m.count + kWarp - 1) / kWarp, 0);
  reset_shared();
  for (unsigned i = 0; i < m.count; ++i) {
    Thread& t = m.threads[i];
    t.wait = Wait::none;
    t.number = i;
    t.lane = i % kWarp;
    t.warp = i / kWarp;
    t.index = {i % m.block.x, i / m.block.x % m.block.y, i / (m.block.x * m.block.y)};
    t.operation = nullptr;
    prepare(t.fiber, fiber_main);
  }
}

void refuse_deadlock() {
  std::string message = "deadlock:";
  int named = 0;
  for (unsigned i = 0; i < machine.count && named < 4; ++i) {
    const Thread& thread = machine.threads[i];
    if (thread.wait == Wait::returned) continue;
    message += (named++ ? "; " : " ") + where(thread);
  }
  machine.error = std::string(machine.kernel) + ": " + message;
}

[[noreturn]] void stop() {
  for (unsigned i = 0; i < machine.count; ++i) abandon(machine.threads[i].fiber);
  throw Error(machine.error);
}

void run_block(std::mt19937_64& random) {
  Machine& m = machine;
  start_block();
  while (m.live > 0) {
    bool moved = false;
    if (m.order == Order::shuffled) std::shuffle(m.turns.begin(), m.turns.end(), random);
    for (const unsigned i : m.turns) {
      if (m.threads[i].wait != Wait::none) continue;
      m.current = &m.threads[i];
      enter(m.threads[i].fiber);
      m.current = nullptr;
      moved = true;
      if (!m.error.empty()) stop();
    }
    if (!moved) {
      refuse_deadlock();
      stop();
    }
  }
  block_ended();
}

}  // namespace

void schedule(Order order, uint64_t seed) {
  machine.order = order;
  machine.seed = seed;
}

void launch(const char* kernel, Index grid, Index block, size_t dynamic_bytes, Body body) {
  Machine& m = machine;
  m.kernel = kernel;
  check_limits(grid, block, dynamic_bytes);
  m.grid = grid;
  m.block = block;
  m.body = body;
  m.dynamic_bytes = dynamic_bytes;
  m.error.clear();
  m.count = block.x * block.y * block.z;
  if (m.threads.size() < m.count) m.threads.resize(m.count);
  m.turns.resize(m.count);
  for (unsigned i = 0; i < m.count; ++i) {
    m.turns[i] = m.order == Order::reverse ? m.count - 1 - i : i;
  }
  ++m.launches;
  std::mt19937_64 random(m.seed);
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  for (uint64_t k = 0; k < blocks; ++k) {
    const uint64_t i = m.order == Order::forward ? k : blocks - 1 - k;
    m.block_number = i;
    m.at = {unsigned(i % grid.x), unsigned(i / grid.x % grid.y),
            unsigned(i / (uint64_t{grid.x} * grid.y))};
    run_block(random);
  }
  const auto reports = take_reports();
  if (reports.empty()) return;
  std::string message = std::string(kernel) + ":";
  for (const auto& report : reports) message += "\n  " + report;
  throw Error(message);
}

void fail(const std::string& message) {
  machine.error = std::string(machine.kernel) + ": " + message;
  leave(machine.current->fiber, true);
  __builtin_unreachable();
}

Index thread_index() { return machine.current->index; }
Index block_index() { return machine.at; }
Index block_size() { return machine.block; }
Index grid_size() { return machine.grid; }
unsigned lane() { return machine.current->lane; }

}  // namespace cusim

// Where threads wait for each other: barriers of a block, exchanges between the lanes of a warp.
#include <cstring>

#include "cusim/state.h"

namespace cusim {
namespace {

bool same_place(const Thread& a, const Thread& b) {
  return a.operation == b.operation && a.site.line() == b.site.line() &&
         a.site.column() == b.site.column();
}

void finish_barrier() {
  Machine& m = machine;
  const Thread* first = nullptr;
  for (unsigned i = 0; i < m.count; ++i) {
    Thread& thread = m.threads[i];
    if (thread.wait != Wait::block) continue;
    if (!first) first = &thread;
    if (!same_place(*first, thread)) {
      fail("divergent barrier: " + where(*first) + ", but " + where(thread));
    }
  }
  if (m.live != m.count) fail("barrier after some threads of the block returned: " + where(*first));
  m.outcome = m.vote;
  m.waiting = 0;
  ++m.barriers;
  for (unsigned i = 0; i < m.count; ++i) m.threads[i].wait = Wait::none;
}

unsigned live_lanes(unsigned warp) {
  unsigned lanes = 0;
  for (unsigned i = warp * kWarp; i < machine.count && i < (warp + 1) * kWarp; ++i) {
    if (machine.threads[i].wait != Wait::returned) lanes |= 1u << (i % kWarp);
  }
  return lanes;
}

// Serves the lanes of `mask` once all of them wait; `need` leaves out those that returned.
void try_exchange(unsigned warp, unsigned mask, unsigned need) {
  Thread* lanes = &machine.threads[warp * kWarp];
  const Thread* first = nullptr;
  for (unsigned i = 0; i < kWarp; ++i) {
    if (!(need >> i & 1)) continue;
    if (lanes[i].wait != Wait::warp) return;
    if (!first) first = &lanes[i];
    if (!same_place(*first, lanes[i]) || lanes[i].mask != mask) {
      fail("divergent warp: " + where(*first) + ", but " + where(lanes[i]));
    }
  }
  for (unsigned to = 0; to < kWarp; ++to) {
    if (!(need >> to & 1)) continue;
    for (unsigned from = 0; from < kWarp && lanes[to].bytes; ++from) {
      if (!(need >> from & 1)) continue;
      auto* place = static_cast<char*>(lanes[to].received) + from * lanes[to].bytes;
      std::memcpy(place, lanes[from].sent, lanes[to].bytes);
    }
  }
  for (unsigned i = 0; i < kWarp; ++i) {
    if (need >> i & 1) lanes[i].wait = Wait::none;
  }
}

void wait_for_lanes(Thread& thread, unsigned need) {
  thread.wait = Wait::warp;
  try_exchange(thread.warp, thread.mask, need);
  if (thread.wait == Wait::warp) leave(thread.fiber);
  thread.operation = nullptr;
}

}  // namespace

std::string where(const Thread& thread) {
  const Index& at = thread.index;
  std::string text = "thread (" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " +
                     std::to_string(at.z) + ") of block " + std::to_string(machine.block_number);
  if (!thread.operation) return text + " in the kernel";
  return text + " at " + thread.operation + ", " + thread.site.file_name() + ":" +
         std::to_string(thread.site.line());
}

int block_barrier(const char* operation, Vote vote, int predicate, Site site) {
  Machine& m = machine;
  Thread& thread = *m.current;
  thread.operation = operation;
  thread.site = site;
  const int yes = predicate != 0;
  if (m.waiting == 0) m.vote = vote == Vote::all;
  m.vote = vote == Vote::count ? m.vote + yes : vote == Vote::all ? m.vote & yes : m.vote | yes;
  thread.wait = Wait::block;
  if (++m.waiting == m.live) {
    finish_barrier();
  } else {
    leave(thread.fiber);
  }
  thread.operation = nullptr;
  return m.outcome;
}

void exchange(const char* operation, unsigned mask, const void* sent, size_t bytes, void* received,
              Site site) {
  Thread& thread = *machine.current;
  thread.operation = operation;
  thread.site = site;
  thread.mask = mask;
  thread.sent = sent;
  thread.bytes = bytes;
  thread.received = received;
  if (!(mask >> thread.lane & 1)) fail("the calling lane is not in its mask: " + where(thread));
  if (mask & ~live_lanes(thread.warp)) {
    fail("the mask names lanes that returned or do not exist: " + where(thread));
  }
  wait_for_lanes(thread, mask);
}

void warp_barrier(unsigned mask, Site site) {
  Thread& thread = *machine.current;
  thread.operation = "__syncwarp";
  thread.site = site;
  thread.mask = mask;
  thread.bytes = 0;
  if (!(mask >> thread.lane & 1)) fail("the calling lane is not in its mask: " + where(thread));
  const unsigned before = machine.warp_barriers[thread.warp];
  const unsigned live = live_lanes(thread.warp);
  wait_for_lanes(thread, mask & live);
  // The first lane that goes on counts the barrier: what came before it is ordered now.
  if ((mask & live) == live && machine.warp_barriers[thread.warp] == before) {
    ++machine.warp_barriers[thread.warp];
  }
}

void returned(Thread& thread) {
  Machine& m = machine;
  thread.wait = Wait::returned;
  thread.operation = nullptr;
  if (--m.live == 0) return;
  if (m.waiting == m.live) finish_barrier();
  for (unsigned i = thread.warp * kWarp; i < m.count && i < (thread.warp + 1) * kWarp; ++i) {
    const Thread& other = m.threads[i];
    if (other.wait != Wait::warp || !(other.mask >> thread.lane & 1)) continue;
    if (other.bytes) fail("a lane returned that others wait for: " + where(other));
    try_exchange(thread.warp, other.mask, other.mask & live_lanes(thread.warp));
  }
}

}  // namespace cusim

// Races, bounds and uninitialised memory. A kernel that is compiled with -fsanitize=thread calls
// `__tsan_read4` and its like before every load and store; they are defined here and follow CUDA's
// rules of order in place of the host's. Nothing is prevented, everything is reported.
#include <pthread.h>

#include <map>
#include <memory>

#include "cusim/checker.h"

namespace cusim {
namespace {

struct Access {
  uint32_t launch = 0, block = 0, barriers = 0, warp_barriers = 0;
  uint16_t thread = 0;
  bool atomic = false;
  const void* code = nullptr;
};

// The last accesses of one byte.
struct Byte {
  Access write, read, older_read;
  bool written = false;
};

struct Region {
  uintptr_t begin, end;
  std::string name;
  bool shared;
  std::vector<Byte> bytes;
};

std::vector<Region> regions;
Region arena{0, 0, "shared memory", true, {}};
std::map<std::pair<const void*, const void*>, std::string> reports;
uintptr_t host_stack = 0, host_stack_end = 0;

std::string place(const Access& access) {
  return source_line(access.code) + " (block " + std::to_string(access.block) + ", thread " +
         std::to_string(access.thread) + ")";
}

void report(const void* a, const void* b, const std::string& text) {
  if (reports.size() < 8) reports.emplace(std::pair(a, b), text);
}

// Whether CUDA orders an access before one that comes after it here.
bool ordered(const Access& before, const Access& now, bool shared) {
  if (before.launch != now.launch) return true;
  if (before.block != now.block) return shared;  // every block has shared memory of its own
  if (before.thread == now.thread || before.barriers != now.barriers) return true;
  return before.thread / kWarp == now.thread / kWarp && before.warp_barriers != now.warp_barriers;
}

void check_race(const Access& before, const Access& now, const Region& region, const char* kind) {
  if (ordered(before, now, region.shared) || (before.atomic && now.atomic)) return;
  report(
      before.code, now.code,
      std::string(kind) + " race on " + region.name + ": " + place(before) + " and " + place(now));
}

void visit(Byte& byte, const Access& now, bool write, const Region& region) {
  const bool fresh =
      region.shared && (byte.write.launch != now.launch || byte.write.block != now.block);
  if ((!write || now.atomic) && (fresh || !byte.written)) {
    report(now.code, nullptr, "uninitialised read of " + region.name + ": " + place(now));
  }
  check_race(byte.write, now, region, write ? "write-write" : "write-read");
  if (write) {
    check_race(byte.read, now, region, "read-write");
    check_race(byte.older_read, now, region, "read-write");
    byte.write = now;
    byte.written = true;
  } else {
    if (byte.read.thread != now.thread || byte.read.block != now.block) {
      byte.older_read = byte.read;
    }
    byte.read = now;
  }
}

// The arena, if the address lies in an array of this block; null, reported, if between arrays.
Region* find_shared(uintptr_t at, unsigned bytes, const Access& now) {
  const size_t from = at - reinterpret_cast<uintptr_t>(machine.shared);
  bool inside = from + bytes <= machine.dynamic_bytes;
  for (const auto& array : machine.arrays) {
    inside |= from >= array.begin && from + bytes <= array.begin + array.bytes;
  }
  if (!inside) report(now.code, nullptr, "access beyond shared memory: " + place(now));
  if (arena.bytes.empty()) {
    arena.begin = reinterpret_cast<uintptr_t>(machine.shared);
    arena.end = arena.begin + kSharedMemory;
    arena.bytes.resize(kSharedMemory);
  }
  return inside ? &arena : nullptr;
}

Region* find_region(uintptr_t at, unsigned bytes, const Access& now, bool write) {
  const auto shared = reinterpret_cast<uintptr_t>(machine.shared);
  if (at >= shared && at < shared + kSharedMemory) return find_shared(at, bytes, now);
  for (auto& region : regions) {
    if (at >= region.begin && at + bytes <= region.end) return &region;
  }
  const auto* memory = reinterpret_cast<const void*>(at);
  const bool constant = (at >= host_stack && at < host_stack_end) || in_program(memory);
  if (constant && !write) return nullptr;
  report(now.code, nullptr,
         std::string(write ? "write" : "read") + " beyond every buffer: " + place(now));
  return nullptr;
}

void find_host_stack() {
  pthread_attr_t attributes;
  void* begin = nullptr;
  size_t bytes = 0;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &begin, &bytes);
  pthread_attr_destroy(&attributes);
  host_stack = reinterpret_cast<uintptr_t>(begin);
  host_stack_end = host_stack + bytes;
}

}  // namespace

void see(const void* memory, unsigned bytes, bool write, bool atomic, const void* code) {
  static bool busy = false;  // a template of the library may be shared with instrumented code
  const Thread* thread = machine.current;
  if (busy || !thread || on_fiber_stack(memory)) return;
  busy = true;
  const auto done = [](bool* flag) { *flag = false; };
  const std::unique_ptr<bool, decltype(done)> guard(&busy, done);
  const auto at = reinterpret_cast<uintptr_t>(memory);
  const Access now{static_cast<uint32_t>(machine.launches),
                   static_cast<uint32_t>(machine.block_number),
                   machine.barriers,
                   machine.warp_barriers[thread->warp],
                   static_cast<uint16_t>(thread->number),
                   atomic,
                   code};
  Region* region = find_region(at, bytes, now, write);
  if (!region) return;
  for (unsigned i = 0; i < bytes; ++i) {
    visit(region->bytes[at + i - region->begin], now, write, *region);
  }
  if (!atomic) count_traffic({at, bytes, write, region->shared, code});
}

void track(const void* memory, size_t bytes, const char* name, bool written) {
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  if (regions.empty()) find_host_stack();
  regions.push_back({begin, begin + bytes, name, false, std::vector<Byte>(bytes)});
  for (auto& byte : regions.back().bytes) byte.written = written;
}

void forget() { regions.clear(); }

void atomic_access(const void* memory, unsigned bytes) {
  see(memory, bytes, true, true, __builtin_return_address(0));
}

std::vector<std::string> take_reports() {
  std::vector<std::string> texts;
  for (const auto& [places, text] : reports) texts.push_back(text);
  reports.clear();
  return texts;
}

}  // namespace cusim

// What the compiler calls; the address of the caller names the source line.
#define STNAS_SEE(name, bytes, write)                                     \
  void __tsan_##name(void* memory) {                                      \
    cusim::see(memory, bytes, write, false, __builtin_return_address(0)); \
  }
#define STNAS_SEE_BOTH(bytes)                    \
  STNAS_SEE(read##bytes, bytes, false)           \
  STNAS_SEE(write##bytes, bytes, true)           \
  STNAS_SEE(unaligned_read##bytes, bytes, false) \
  STNAS_SEE(unaligned_write##bytes, bytes, true)
extern "C" {
STNAS_SEE_BOTH(1)
STNAS_SEE_BOTH(2)
STNAS_SEE_BOTH(4)
STNAS_SEE_BOTH(8)
STNAS_SEE_BOTH(16)
void __tsan_init() {}
void __tsan_read_range(void* memory, unsigned long bytes) {
  cusim::see(memory, unsigned(bytes), false, false, __builtin_return_address(0));
}
void __tsan_write_range(void* memory, unsigned long bytes) {
  cusim::see(memory, unsigned(bytes), true, false, __builtin_return_address(0));
}
}

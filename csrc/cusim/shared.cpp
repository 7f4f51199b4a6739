// Shared memory: one arena, cut into arrays with gaps, anew for every block.
#include <cstdlib>
#include <cstring>

#include "cusim/state.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace cusim {
namespace {

constexpr size_t kAlignment = 128, kGap = 32;
constexpr size_t kStaticLimit = 48 << 10;

#if defined(__SANITIZE_ADDRESS__)
void close(const char* from, size_t bytes) { __asan_poison_memory_region(from, bytes); }
void open(const char* from, size_t bytes) { __asan_unpoison_memory_region(from, bytes); }
#else
void close(const char*, size_t) {}
void open(const char*, size_t) {}
#endif

size_t round_up(size_t value) { return (value + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

void reset_shared() {
  Machine& m = machine;
  if (!m.shared) m.shared = static_cast<char*>(std::aligned_alloc(4096, kSharedMemory));
  close(m.shared, kSharedMemory);
  open(m.shared, m.dynamic_bytes);
  std::memset(m.shared, 0xff, m.dynamic_bytes);  // NaN as float32, float64 and bfloat16
  m.arrays.clear();
  m.shared_end = m.dynamic_bytes + kGap;
}

void* shared_array(const void* key, size_t bytes) {
  Machine& m = machine;
  size_t total = bytes;
  for (const auto& array : m.arrays) {
    if (array.key == key) return m.shared + array.begin;
    total += array.bytes;
  }
  if (total > kStaticLimit) {
    fail("static shared memory must be at most 48 KiB, got " + std::to_string(total) +
         " bytes: use dynamic_shared");
  }
  const size_t begin = round_up(m.shared_end);
  m.arrays.push_back({key, begin, bytes});
  m.shared_end = begin + bytes + kGap;
  open(m.shared + begin, bytes);
  std::memset(m.shared + begin, 0xff, bytes);
  return m.shared + begin;
}

void* dynamic_shared() { return machine.shared; }

}  // namespace cusim

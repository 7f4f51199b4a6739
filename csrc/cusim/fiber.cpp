#include "cusim/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__)
#error "the CUDA emulator switches stacks on x86-64 alone: write `switch_stack` for this processor"
#endif

namespace cusim {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kStack = 256 << 10;  // roomy, since sanitizers multiply frames
constexpr size_t kMost = 1024;        // threads of a block
constexpr size_t kTop = 1024;         // bytes of the frames that a fiber leaves behind for good

char* stacks = nullptr;
size_t used = 0;
void* scheduler = nullptr;  // where it was left
void* scheduler_sanitizer = nullptr;
const void* scheduler_stack = nullptr;
size_t scheduler_size = 0;
void (*begin)() = nullptr;

// Pushes what a call must keep, stores the stack pointer, and goes on where `to` was left.
__attribute__((naked, noinline)) void switch_stack(void** /*from*/, void* /*to*/) {
  asm volatile(
      "pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15;"
      "movq %rsp, (%rdi); movq %rsi, %rsp;"
      "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp;"
      "popq %rcx; jmp *%rcx");
}

#if defined(__SANITIZE_ADDRESS__)
void before(void** own, const void* stack, size_t size) {
  __sanitizer_start_switch_fiber(own, stack, size);
}
void after(void* own, const void** stack, size_t* size) {
  __sanitizer_finish_switch_fiber(own, stack, size);
}
void clean(char* stack, size_t top) { __asan_unpoison_memory_region(stack + kStack - top, top); }
#else
void before(void**, const void*, size_t) {}
void after(void*, const void**, size_t*) {}
void clean(char*, size_t) {}
#endif

void trampoline() {
  after(nullptr, &scheduler_stack, &scheduler_size);
  begin();
}

char* take_stack() {
  if (!stacks) {
    void* memory = mmap(nullptr, kMost * (kStack + kPage), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    stacks = static_cast<char*>(memory);
  }
  char* guard = stacks + used++ * (kStack + kPage);
  mprotect(guard, kPage, PROT_NONE);
  return guard + kPage;
}

}  // namespace

void prepare(Fiber& fiber, void (*entry)()) {
  if (!fiber.stack) fiber.stack = take_stack();
  clean(fiber.stack, kTop);
  begin = entry;
  // At the entry of a function the stack pointer is 8 past a multiple of 16.
  auto** top = reinterpret_cast<void**>(fiber.stack + kStack) - 1;
  *top = nullptr;
  *--top = reinterpret_cast<void*>(&trampoline);
  fiber.left_at = top - 6;
}

void enter(Fiber& fiber) {
  before(&scheduler_sanitizer, fiber.stack, kStack);
  switch_stack(&scheduler, fiber.left_at);
  after(scheduler_sanitizer, nullptr, nullptr);
}

void leave(Fiber& fiber, bool for_good) {
  before(for_good ? nullptr : &fiber.sanitizer, scheduler_stack, scheduler_size);
  switch_stack(&fiber.left_at, scheduler);
  after(fiber.sanitizer, &scheduler_stack, &scheduler_size);
}

void abandon(Fiber& fiber) { clean(fiber.stack, kStack); }

bool on_fiber_stack(const void* address) {
  const auto at = reinterpret_cast<uintptr_t>(address), low = reinterpret_cast<uintptr_t>(stacks);
  return stacks && at >= low && at < low + kMost * (kStack + kPage);
}

}  // namespace cusim

#include "host/team.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

namespace stnas::cpu {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLookout = std::chrono::microseconds(200);  // more than the pauses in a network
constexpr int kGlances = 64;                               // between two looks at the clock

// What a call is at, in one word: how many members are inside, how many may be, whether it may be
// entered, and its number.
constexpr int kRoom = 15, kNumber = 32;
constexpr uint64_t kInside = (1 << kRoom) - 1, kOpen = uint64_t{1} << 31;

constexpr uint64_t number(uint64_t state) { return state >> kNumber; }
constexpr bool has_room(uint64_t state) { return (state & kInside) < (state >> kRoom & kInside); }

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

struct Job {
  index count;
  void (*task)(void*, index);
  void* context;
};

class Team {
 public:
  void run(const Job& job, index helpers) {
    if (busy_.exchange(true)) {
      for (index i = 0; i < job.count; ++i) job.task(job.context, i);
      return;
    }
    recruit(helpers);
    job_ = job;
    std::fegetenv(&environment_);
    failure_ = nullptr;
    next_.store(0, std::memory_order_relaxed);
    state_.store(++calls_ << kNumber | kOpen | uint64_t(helpers) << kRoom);
    if (asleep_.load() > 0) {
      bell_.fetch_add(1);
      bell_.notify_all();
    }
    work();
    state_.fetch_and(~kOpen);
    for (int glances = 1; state_.load() & kInside; ++glances)
      glances % kGlances ? pause() : std::this_thread::yield();
    const std::exception_ptr failure = failure_;
    busy_.store(false);
    if (failure) std::rethrow_exception(failure);
  }

 private:
  // Starts members until there are `wanted`, or as many as the system grants.
  void recruit(index wanted) {
    try {
      for (; members_ < wanted; ++members_) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
    }
  }

  // Takes tasks until none is left.
  void work() {
    try {
      for (index i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < job_.count;)
        job_.task(job_.context, i);
    } catch (...) {
      next_.store(job_.count, std::memory_order_relaxed);
      const std::lock_guard lock(failing_);
      failure_ = std::current_exception();
    }
  }

  // The life of a member.
  void serve() {
    for (uint64_t served = 0;;) {
      served = await(served);
      if (!enter(served)) continue;
      std::fesetenv(&environment_);
      work();
      state_.fetch_sub(1);
    }
  }

  // Tells whether the call still ran, and had room.
  bool enter(uint64_t call) {
    uint64_t state = state_.load();
    while ((state & kOpen) && number(state) == call && has_room(state))
      if (state_.compare_exchange_weak(state, state + 1)) return true;
    return false;
  }

  // Returns the number of a call other than `served`, looking out for a while and asleep then.
  uint64_t await(uint64_t served) {
    const auto called = [&] { return number(state_.load()) != served; };
    const auto end = Clock::now() + kLookout;
    do {
      for (int i = 0; i < kGlances && !called(); ++i) pause();
      std::this_thread::yield();  // to threads of torch's, which wait for a core meanwhile
    } while (!called() && Clock::now() < end);
    while (!called()) {
      asleep_.fetch_add(1);
      const uint32_t bell = bell_.load();
      if (!called()) bell_.wait(bell);
      asleep_.fetch_sub(1);
    }
    return number(state_.load());
  }

  std::atomic<bool> busy_ = false;
  index members_ = 0;
  uint64_t calls_ = 0;
  Job job_{};
  std::fenv_t environment_{};  // of the caller: all threads round alike, and flush alike
  std::mutex failing_;
  std::exception_ptr failure_;
  alignas(64) std::atomic<uint64_t> state_ = 0;
  alignas(64) std::atomic<index> next_ = 0;
  alignas(64) std::atomic<int> asleep_ = 0;
  std::atomic<uint32_t> bell_ = 0;
};

// Never destroyed, since members outlive the end of main. A forked process has no members yet.
std::atomic<Team*> team = nullptr;

Team& the_team() {
  static const bool once = [] {
    team = new Team;
    pthread_atfork(nullptr, nullptr, [] { team = new Team; });
    return true;
  }();
  static_cast<void>(once);
  return *team.load(std::memory_order_relaxed);
}

}  // namespace

void run_together(index count, void (*task)(void* context, index i), void* context, int threads) {
  const index helpers = std::min({index{threads} - 1, count - 1, index(kInside)});
  if (helpers > 0) {
    the_team().run({count, task, context}, helpers);
    return;
  }
  for (index i = 0; i < count; ++i) task(context, i);
}

}  // namespace stnas::cpu

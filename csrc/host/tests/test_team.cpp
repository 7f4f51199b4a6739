// Every task runs once, whoever calls and however many threads there are; what a task throws
// arrives; a forked process has a team of its own.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cfenv>
#include <cstdio>
#include <stdexcept>
#include <thread>
#include <vector>

#include "host/team.h"

namespace stnas::cpu::test {
namespace {

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("%s\n", what);
  ++failures;
}

template <class Task>
void together(index count, int threads, const Task& task) {
  run_together(
      count, [](void* context, index i) { (*static_cast<const Task*>(context))(i); },
      const_cast<Task*>(&task), threads);
}

// Calls of 0 to 40 tasks, with 1 to 5 threads in turn.
bool every_task_runs_once(int calls) {
  for (int call = 0; call < calls; ++call) {
    const index count = call % 41;
    std::vector<std::atomic<int>> done(static_cast<size_t>(count));
    together(count, 1 + call % 5, [&](index i) { ++done[static_cast<size_t>(i)]; });
    for (const auto& times : done)
      if (times != 1) return false;
  }
  return true;
}

void run() {
  expect(every_task_runs_once(5000), "a task was left out, or ran twice");

  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int i = 0; i < 4; ++i) callers.emplace_back([&] { wrong += !every_task_runs_once(2000); });
  for (auto& caller : callers) caller.join();
  expect(wrong == 0, "callers on several threads disturb each other");

  for (int call = 0; call < 200; ++call) {
    bool thrown = false;
    try {
      together(16, 3, [&](index i) {
        if (i == call % 16) throw std::runtime_error("task");
      });
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    expect(thrown, "what a task throws is lost");
  }
  expect(every_task_runs_once(100), "the team is broken by what a task threw");

  std::fesetround(FE_UPWARD);
  std::atomic<int> upward = 0;
  together(64, 4, [&](index) { upward += std::fegetround() == FE_UPWARD; });
  std::fesetround(FE_TONEAREST);
  expect(upward == 64, "a thread rounds in another way than the caller");

  const pid_t child = fork();
  if (child == 0) _exit(every_task_runs_once(500) ? 0 : 1);
  int status = 1;
  waitpid(child, &status, 0);
  expect(status == 0, "a forked process has no team");
}

}  // namespace
}  // namespace stnas::cpu::test

int main() {
  stnas::cpu::test::run();
  std::printf("%d failures\n", stnas::cpu::test::failures);
  return stnas::cpu::test::failures != 0;
}

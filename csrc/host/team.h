// Threads that share out the tasks of a kernel.
#pragma once

#include "host/problem.h"

namespace stnas::cpu {

// task(context, i) for i in [0, count), on the calling thread and at most `threads` - 1 others;
// returns when all are done. What a task throws is thrown here, one of them.
//
// A kernel is a row of calls that take some microseconds each, and so are the pauses between them.
// The caller therefore never waits for a thread that has not begun: it takes one task after the
// other, as the others do, and waits for tasks that were taken alone. The others look out for the
// next call for a while before they fall asleep. Calls from several threads do not mix: while one
// has the team, the others work alone.
void run_together(index count, void (*task)(void* context, index i), void* context, int threads);

}  // namespace stnas::cpu

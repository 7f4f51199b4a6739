// Between the parts of the checker.
#pragma once

#include <string>
#include <vector>

#include "cusim/state.h"

namespace cusim {

// A load or store of the thread that runs, made by the code at this address.
void see(const void* memory, unsigned bytes, bool write, bool atomic, const void* code);

struct Request {
  uintptr_t at;
  unsigned bytes;
  bool write, shared;
  const void* code;
};
void count_traffic(const Request& request);

// "file:line" of an address in code, found fastest for many at once; whether an address lies in a
// loaded program or library.
void find_lines(const std::vector<const void*>& codes);
std::string source_line(const void* code);
bool in_program(const void* memory);

}  // namespace cusim

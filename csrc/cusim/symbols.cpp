// Names for addresses.
#include <dlfcn.h>

#include <cstdio>
#include <map>
#include <sstream>

#include "cusim/checker.h"

namespace cusim {
namespace {

std::map<const void*, std::string> known;

// Asks once for many addresses of one library; addr2line answers in their order.
void ask(const std::string& library, const std::vector<const void*>& codes, const void* base) {
  std::ostringstream command;
  command << "addr2line -s -e '" << library << "'" << std::hex;
  for (const void* code : codes) {
    command << " 0x" << static_cast<const char*>(code) - static_cast<const char*>(base) - 1;
  }
  command << " 2>/dev/null";
  FILE* pipe = popen(command.str().c_str(), "r");
  char line[512];
  for (const void* code : codes) {
    const std::string text = pipe && std::fgets(line, sizeof line, pipe) ? line : "?";
    known[code] = text.substr(0, text.find_first_of(" \n"));
  }
  if (pipe) pclose(pipe);
}

}  // namespace

void find_lines(const std::vector<const void*>& codes) {
  std::map<std::pair<std::string, const void*>, std::vector<const void*>> unknown;
  for (const void* code : codes) {
    Dl_info info;
    if (known.count(code) || !dladdr(code, &info)) continue;
    unknown[{info.dli_fname, info.dli_fbase}].push_back(code);
  }
  for (const auto& [library, own] : unknown) ask(library.first, own, library.second);
}

std::string source_line(const void* code) {
  find_lines({code});
  return known.count(code) ? known[code] : "?";
}

bool in_program(const void* memory) {
  Dl_info info;
  return dladdr(memory, &info) != 0;
}

}  // namespace cusim

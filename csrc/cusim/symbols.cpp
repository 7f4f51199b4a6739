// Names for addresses.
#include <dlfcn.h>

#include <cstdio>
#include <map>

#include "checker.h"

namespace cusim {

std::string source_line(const void* code) {
  static std::map<const void*, std::string> known;
  auto& name = known[code];
  Dl_info info;
  if (!name.empty() || !dladdr(code, &info)) return name.empty() ? "?" : name;
  const auto offset = static_cast<const char*>(code) - static_cast<const char*>(info.dli_fbase) - 1;
  char command[1024], line[512] = "?";
  std::snprintf(command, sizeof command, "addr2line -s -e '%s' %#tx 2>/dev/null", info.dli_fname,
                offset);
  if (FILE* pipe = popen(command, "r")) {
    if (!std::fgets(line, sizeof line, pipe)) line[0] = '?';
    pclose(pipe);
  }
  name = line;
  return name = name.substr(0, name.find_first_of(" \n"));
}

bool in_program(const void* memory) {
  Dl_info info;
  return dladdr(memory, &info) != 0;
}

}  // namespace cusim

// How well loads and stores use memory: 32-byte sectors of device memory, banks of shared memory.
// The n-th access of a source line by each lane of a warp counts as one request of the warp.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <sstream>

#include "cusim/checker.h"

namespace cusim {
namespace {

using Addresses = std::vector<uintptr_t>;

struct Line {
  unsigned bytes = 0;
  bool write = false, shared = false;
  uint64_t requests = 0, cost = 0, ideal = 0, moved = 0;
  std::map<unsigned, std::array<Addresses, kWarp>> warps;  // of the block that runs
};
std::map<const void*, Line> lines;

// Sectors that a request touches, and the fewest that its bytes fit into.
std::pair<uint64_t, uint64_t> sectors(const Addresses& lanes, unsigned bytes) {
  std::set<uintptr_t> touched, words;
  for (const uintptr_t at : lanes) {
    for (uintptr_t i = at / 32; i <= (at + bytes - 1) / 32; ++i) touched.insert(i);
    for (uintptr_t i = at / 4; i <= (at + bytes - 1) / 4; ++i) words.insert(i);
  }
  return {touched.size(), (words.size() * 4 + 31) / 32};
}

// Passes that the 32 banks of 4 bytes need, and the fewest: wide accesses are served in parts of a
// warp of 128 bytes.
std::pair<uint64_t, uint64_t> passes(const Addresses& lanes, unsigned bytes) {
  const size_t part = std::min<size_t>(kWarp, 128 / std::max(bytes, 4u));
  uint64_t cost = 0, ideal = 0;
  for (size_t begin = 0; begin < lanes.size(); begin += part) {
    std::array<std::set<uintptr_t>, 32> banks;
    for (size_t i = begin; i < std::min(begin + part, lanes.size()); ++i) {
      for (uintptr_t word = lanes[i] / 4; word <= (lanes[i] + bytes - 1) / 4; ++word) {
        banks[word % 32].insert(word);
      }
    }
    size_t worst = 0;
    for (const auto& bank : banks) worst = std::max(worst, bank.size());
    cost += worst;
    ++ideal;
  }
  return {cost, ideal};
}

void count_request(Line& line, const Addresses& lanes) {
  const auto [cost, ideal] = line.shared ? passes(lanes, line.bytes) : sectors(lanes, line.bytes);
  ++line.requests;
  line.cost += cost;
  line.ideal += ideal;
  line.moved += lanes.size() * line.bytes;
}

}  // namespace

void count_traffic(const Request& request) {
  Line& line = lines[request.code];
  line.bytes = request.bytes;
  line.write = request.write;
  line.shared = request.shared;
  line.warps[machine.current->warp][machine.current->lane].push_back(request.at);
}

void block_ended() {
  for (auto& [code, line] : lines) {
    for (auto& [warp, lanes] : line.warps) {
      size_t most = 0;
      for (const auto& lane : lanes) most = std::max(most, lane.size());
      for (size_t n = 0; n < most; ++n) {
        Addresses at;
        for (const auto& lane : lanes) {
          if (n < lane.size()) at.push_back(lane[n]);
        }
        count_request(line, at);
      }
    }
    line.warps.clear();
  }
}

std::string traffic() {
  std::ostringstream text;
  std::vector<const void*> codes;
  for (const auto& [code, line] : lines) codes.push_back(code);
  find_lines(codes);
  for (const auto& [code, line] : lines) {
    text << (text.tellp() > 0 ? ",\n" : "[") << "{\"line\": \"" << source_line(code)
         << "\", \"memory\": \"" << (line.shared ? "shared" : "device") << "\", \"access\": \""
         << (line.write ? "store" : "load") << "\", \"bytes\": " << line.bytes
         << ", \"requests\": " << line.requests << ", \"moved\": " << line.moved
         << ", \"cost\": " << line.cost << ", \"ideal\": " << line.ideal << "}";
  }
  text << (text.tellp() > 0 ? "]" : "[]");
  lines.clear();
  return text.str();
}

}  // namespace cusim

// Kernels with one planted bug each, and sound ones: `planted NAME [ORDER]`. What must be reported,
// and by which build, is listed in CMakeLists.txt.
#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include "device/compat.cuh"

namespace {

using stnas::cuda::dynamic_shared;
using stnas::cuda::launch;
using stnas::cuda::Pack;

__global__ void divergent(float* out) {
  if (threadIdx.x < 16) {
    __syncthreads();
    out[threadIdx.x] = 1;
  } else {
    __syncthreads();
  }
}
__global__ void early_return(float* out) {
  if (threadIdx.x >= 50) return;
  out[threadIdx.x] = 1;
  __syncthreads();
}
__global__ void deadlock(float* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = __shfl_sync(0xffffffffu, out[threadIdx.x], 0);
  } else {
    __syncthreads();
  }
}
__global__ void wrong_mask(float* out) {
  if (threadIdx.x < 20) out[threadIdx.x] += __shfl_xor_sync(0xffffffffu, out[threadIdx.x], 1);
}
__global__ void masked_read(float* out) {
  if (threadIdx.x < 16) out[threadIdx.x] += __shfl_xor_sync(0xffffu, out[threadIdx.x], 16);
}
__global__ void divergent_warp(float* out) {
  const float value = out[threadIdx.x];
  out[threadIdx.x] = threadIdx.x < 7 ? __shfl_xor_sync(0xffffffffu, value, 1)
                                     : __shfl_down_sync(0xffffffffu, value, 1);
}
__global__ void shared_bounds(float* out) {
  SHARED(float, tile, [64]);
  tile[threadIdx.x + 1] = out[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x + 1];
}
__global__ void dynamic_bounds(float* out) {
  auto* tile = dynamic_shared<float>();
  tile[threadIdx.x + 1] = out[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x + 1];
}
__global__ void device_bounds(float* out, unsigned count) {
  if (threadIdx.x <= count) out[threadIdx.x] = 1;
}
__global__ void stack_bounds(float* out, int count) {
  float values[8];
  for (int i = 0; i <= count; ++i) values[i] = out[i];
  out[threadIdx.x] = values[count - 1];
}
__global__ void misaligned(float* out) {
  reinterpret_cast<Pack<float, 4>*>(out + 1)[threadIdx.x].at[0] += 1;
}
__global__ void block_race(float* out) {
  SHARED(float, tile, [64]);
  tile[threadIdx.x] = out[threadIdx.x];
  out[threadIdx.x] = tile[63 - threadIdx.x];
}
template <bool ordered>
__global__ void warp_exchange(float* out) {
  SHARED(float, tile, [32]);
  tile[threadIdx.x] = out[threadIdx.x];
  if (ordered) __syncwarp();
  out[threadIdx.x] = tile[31 - threadIdx.x];
}
__global__ void grid_race(float* out) { out[0] += 1.f; }
__global__ void uninitialised(float* out) {
  SHARED(float, tile, [64]);
  if (threadIdx.x != 7) tile[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}
__global__ void static_limit(float* out) {
  SHARED(float, large, [49 << 8]);
  large[threadIdx.x] = out[threadIdx.x];
}

// Sums 1 to 64 in five ways and counts the ways that agree.
__global__ void sound(float* out, int* votes) {
  SHARED(float, parts, [2]);
  float sum = float(threadIdx.x + 1);
  for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, by);
  float down = float(threadIdx.x % 32 + 1);
  for (int by = 16; by > 0; by /= 2) down += __shfl_down_sync(0xffffffffu, down, unsigned(by));
  down = __shfl_sync(0xffffffffu, down, 0);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  const int half = __syncthreads_count(threadIdx.x % 2 == 0);
  const int all = __syncthreads_and(down == 528.f), none = __syncthreads_or(down != 528.f);
  out[blockIdx.x * 64 + threadIdx.x] = parts[0] + parts[1];
  const unsigned low = __ballot_sync(0xffffffffu, threadIdx.x % 32 < 4);
  if (half == 32 && all && !none && low == 15u) atomicAdd(votes, 1);
  atomicMin(votes + 1, -int(threadIdx.x));
}

// Device memory: ones, known to the checker.
struct Buffer {
  std::vector<float> values;
  explicit Buffer(size_t count) : values(count, 1.f) {
    cusim::track(values.data(), values.size() * sizeof(float), "the buffer", true);
  }
};

int run_sound(float* out) {
  int votes[2] = {0, 0};
  cusim::track(votes, sizeof votes, "votes", true);
  launch("sound", &sound, dim3{3}, dim3{64}, 0, nullptr, out, votes);
  bool good = votes[0] == 3 * 64 && votes[1] == -63;
  for (int i = 0; i < 3 * 64; ++i) good = good && out[i] == 2080.f;
  launch("warp_exchange", &warp_exchange<true>, dim3{}, dim3{32}, 0, nullptr, out);
  std::puts(good ? "sound" : "wrong");
  return !good;
}

int run_uninitialised(float* out) {
  launch("uninitialised", &uninitialised, dim3{}, dim3{64}, 0, nullptr, out);
  std::puts(std::isnan(out[7]) ? "NaN from shared memory" : "nothing seen");
  return 1;
}

int run(const std::string& name, float* out) {
  const dim3 one{}, warp{32}, two{64};
  const std::map<std::string, std::pair<void (*)(float*), dim3>> plain{
      {"divergent", {&divergent, two}},
      {"early_return", {&early_return, two}},
      {"deadlock", {&deadlock, two}},
      {"wrong_mask", {&wrong_mask, warp}},
      {"masked_read", {&masked_read, warp}},
      {"divergent_warp", {&divergent_warp, warp}},
      {"shared_bounds", {&shared_bounds, two}},
      {"misaligned", {&misaligned, dim3{4}}},
      {"block_race", {&block_race, two}},
      {"warp_race", {&warp_exchange<false>, warp}},
      {"block_limit", {&grid_race, dim3{2048}}},
      {"static_limit", {&static_limit, two}}};
  if (name == "sound") return run_sound(out);
  if (name == "uninitialised") return run_uninitialised(out);
  if (name == "grid_race") {
    launch("grid_race", &grid_race, dim3{4}, one, 0, nullptr, out);
  } else if (name == "dynamic_bounds") {
    launch("dynamic_bounds", &dynamic_bounds, one, two, 256, nullptr, out);
  } else if (name == "dynamic_limit") {
    launch("dynamic_limit", &dynamic_bounds, one, two, 164 << 10, nullptr, out);
  } else if (name == "device_bounds") {
    launch("device_bounds", &device_bounds, one, dim3{96}, 0, nullptr, out, 64u);
  } else if (name == "stack_bounds") {
    launch("stack_bounds", &stack_bounds, one, one, 0, nullptr, out, 8);
  } else {
    const auto& [kernel, block] = plain.at(name);
    launch(name.c_str(), kernel, one, block, 0, nullptr, out);
  }
  std::puts("nothing seen");
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 2) cusim::schedule(cusim::Order(std::atoi(arguments[2])), 1);
  try {
    const std::string name = count > 1 ? arguments[1] : "sound";
    Buffer buffer(name == "sound" ? 3 * 64 : 64);
    return run(name, buffer.values.data());
  } catch (const cusim::Error& error) {
    std::printf("refused: %s\n", error.what());
    return 1;
  }
}

// What the parts of the emulated GPU share: its name, and what the host has waited for.
#pragma once

#include <c10/core/Device.h>

#include <string>

namespace cusim::gpu {

constexpr auto kGpu = c10::DeviceType::PrivateUse1;
const c10::Device kHere(c10::DeviceType::CPU), kThere(kGpu, 0);

// Counts that the host waits for something.
void wait_for(const std::string& what);
// How often it has waited, and for what.
int64_t waited(bool reset);
std::string waited_for();
// Whether a GPU may copy from and to this memory by itself.
bool is_pinned(const void* memory);

}  // namespace cusim::gpu

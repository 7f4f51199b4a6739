// The emulated GPU's memory, the host's pinned memory, and what torch asks of a device besides
// operators.
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <map>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "cusim/gpu.h"

namespace cusim::gpu {
namespace {

std::mutex mutex;
std::map<std::string, int64_t> waits;
std::unordered_set<const void*> pinned;

}  // namespace

void wait_for(const std::string& what) {
  const std::lock_guard<std::mutex> lock(mutex);
  ++waits[what];
}

bool is_pinned(const void* memory) {
  const std::lock_guard<std::mutex> lock(mutex);
  return pinned.count(memory) > 0;
}

int64_t waited(bool reset) {
  const std::lock_guard<std::mutex> lock(mutex);
  int64_t total = 0;
  for (const auto& [name, count] : waits) total += count;
  if (reset) waits.clear();
  return total;
}

std::string waited_for() {
  const std::lock_guard<std::mutex> lock(mutex);
  std::string text;
  for (const auto& [name, count] : waits) text += name + ": " + std::to_string(count) + "\n";
  return text;
}

namespace {

struct Guard final : c10::impl::NoOpDeviceGuardImpl<kGpu> {
  c10::Device exchangeDevice(c10::Device) const override { return kThere; }
  c10::Device getDevice() const override { return kThere; }
  c10::Stream getStream(c10::Device) const noexcept override { return stream(); }
  c10::Stream getNewStream(c10::Device, int) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream(); }
  void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void recordDataPtrOnStream(const c10::DataPtr&, const c10::Stream&) const override {}

 private:
  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, kThere); }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

// Memory of the device.
struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    auto* own = new c10::DataPtr(c10::GetCPUAllocator()->allocate(bytes));
    return {own->get(), own, &free_memory, kThere};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_memory; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static void free_memory(void* context) { delete static_cast<c10::DataPtr*>(context); }
};

// Memory of the host that a GPU may copy from and to by itself.
struct Pinned final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    c10::DataPtr own = c10::GetCPUAllocator()->allocate(bytes);
    void* memory = own.get();
    const std::lock_guard<std::mutex> lock(mutex);
    pinned.insert(memory);
    return {memory, new c10::DataPtr(std::move(own)), &free_pinned, kHere};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_pinned; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static void free_pinned(void* context) {
    auto* own = static_cast<c10::DataPtr*>(context);
    {
      const std::lock_guard<std::mutex> lock(mutex);
      pinned.erase(own->get());
    }
    delete own;
  }
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  bool isPinnedPtr(const void* memory) const override { return is_pinned(memory); }
  c10::Allocator* getPinnedMemoryAllocator() const override {
    static Pinned allocator;
    return &allocator;
  }
};

const bool registered = [] {
  static Memory memory;
  c10::SetAllocator(kGpu, &memory);
  at::RegisterPrivateUse1HooksInterface(new Hooks());
  c10::register_privateuse1_backend("emulated");
  return true;
}();

}  // namespace
}  // namespace cusim::gpu

// Memory of the device for the time of a call.
#pragma once

#include <cstdint>

namespace stnas::cuda {

struct Workspace {
  void* (*take_bytes)(void* context, int64_t bytes);
  void* context;

  template <class T>
  T* take(int64_t count) const {
    return static_cast<T*>(take_bytes(context, count * static_cast<int64_t>(sizeof(T))));
  }
};

}  // namespace stnas::cuda

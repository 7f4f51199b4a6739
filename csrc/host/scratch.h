// Scratch memory of a thread: taken as from a stack, kept for the next call.
#pragma once

#include <cstddef>

namespace stnas::cpu {

// Memory taken through a Scratch returns when it goes out of scope; the last taken goes first.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // `count` values, aligned to 64 bytes, not set. Throws std::bad_alloc.
  template <class T>
  inline __attribute__((always_inline)) T* take(long count) {
    return static_cast<T*>(take_bytes(sizeof(T) * static_cast<size_t>(count)));
  }
  // `count` values whose bytes are zero.
  template <class T>
  inline __attribute__((always_inline)) T* zeros(long count) {
    T* values = take<T>(count);
    __builtin_memset(static_cast<void*>(values), 0, sizeof(T) * static_cast<size_t>(count));
    return values;
  }

 private:
  void* take_bytes(size_t bytes);
  size_t block_, used_;
};

}  // namespace stnas::cpu

// The one header through which kernels see CUDA: nvcc's for the product, the emulator's for tests.
// A kernel's source is the same for both, down to its launch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "host/numbers.h"

#if defined(__CUDACC__)

#include <cuda_runtime.h>

// An array in shared memory: SHARED(float, tile, [32][33]).
#define SHARED(type, name, dimensions) __shared__ type name dimensions

namespace stnas::cuda {

using Stream = cudaStream_t;

// d += a b for a [16, 16] and b [16, 8] of bfloat16, spread over the lanes of a warp as PTX says.
__device__ __forceinline__ void multiply_matrices(float (&d)[4], const uint32_t (&a)[4],
                                                  const uint32_t* b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four 8x8 matrices of 16-bit values from shared memory: lane i names row i % 8 of matrix i / 8.
template <bool transposed>
__device__ __forceinline__ void load_matrices(uint32_t (&to)[4], const void* row) {
  const auto at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (transposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(at)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(at)
                 : "memory");
  }
}

// The nearest bfloat16, ties to even.
__device__ __forceinline__ uint16_t round_to_bfloat16(float value) {
  uint16_t bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

template <class T>
__device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char stnas_dynamic_shared[];
  return reinterpret_cast<T*>(stnas_dynamic_shared);
}

inline void check_launch(const char* name, cudaError_t status) {
  if (status == cudaSuccess) return;
  throw std::runtime_error(std::string(name) + ": " + cudaGetErrorString(status));
}

template <class... Parameters, class... Arguments>
void start(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared,
           Stream stream, Arguments&&... arguments) {
  if (shared > 48 << 10) {
    check_launch(name, cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                            cudaFuncAttributeMaxDynamicSharedMemorySize,
                                            static_cast<int>(shared)));
  }
  kernel<<<grid, block, shared, stream>>>(static_cast<Parameters>(arguments)...);
  check_launch(name, cudaGetLastError());
}

}  // namespace stnas::cuda

#else

#include "cusim/device.h"
#include "cusim/matrix.h"

#define SHARED(type, name, dimensions) \
  using name##_type = type dimensions; \
  static const char name##_key = 0;    \
  auto& name = *static_cast<name##_type*>(::cusim::shared_array(&name##_key, sizeof(name##_type)))

namespace stnas::cuda {

using Stream = void*;
using cusim::load_matrices;
using cusim::multiply_matrices;
using cusim::round_to_bfloat16;

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(::cusim::dynamic_shared());
}

template <class... Parameters, class... Arguments>
void start(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared,
           Stream, Arguments&&... arguments) {
  auto work = [&] { kernel(static_cast<Parameters>(arguments)...); };
  const auto run = [](void* context) { (*static_cast<decltype(work)*>(context))(); };
  ::cusim::launch(name, grid, block, shared, {run, &work});
}

}  // namespace stnas::cuda

#endif

namespace stnas::cuda {

// N values that are read or written at once: one 16-byte access for 4 floats.
template <class T, int N>
struct alignas(sizeof(T) * N <= 16 ? sizeof(T) * N : 16) Pack {
  T at[N];
};

// Whether all pointers are good for Pack.
template <class... T>
STNAS_INLINE bool aligned(const T*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) | ...) & 15) == 0;
}

// Starts a kernel; an error carries its name. Parameters are passed by value, 4 KiB in all.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared,
            Stream stream, Arguments&&... arguments) {
  static_assert((sizeof(Parameters) + ... + 0) <= 4096, "kernel parameters take more than 4 KiB");
  start(name, kernel, grid, block, shared, stream, std::forward<Arguments>(arguments)...);
}

}  // namespace stnas::cuda

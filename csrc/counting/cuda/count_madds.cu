// The launch of the counting kernel.
#include "counting/cuda/count_madds.cuh"

namespace stnas::cuda {

void count_madds(const Counting& work, void* stream) {
  if (work.rows == 0) return;
  const int64_t bytes = staged_bytes(work.genes, work.choices);
  const bool staged = bytes <= kStagedBytes;
  const dim3 grid(static_cast<unsigned>((work.rows + kRows - 1) / kRows));
  launch("count_madds_kernel", staged ? &count_madds_kernel<true> : &count_madds_kernel<false>,
         grid, dim3(kRows), staged ? static_cast<size_t>(bytes) : 0, static_cast<Stream>(stream),
         work);
}

}  // namespace stnas::cuda

// Sums over the rows of a matrix, column by column: statistics of BN, gradients, pooling.
#pragma once

#include "device/product.cuh"

namespace stnas::cuda {

constexpr int kLanes = 8, kLines = kBlock / kLanes;

// sums[part][i][column] = the sum of what the threads of a block have: lane l of `lanes` in a line
// `count` sums of the N columns from first + N l on. The lines are added in their order.
template <int count, int N, int lanes, class T>
__device__ void add_lines(const T (&sum)[count][N], int lane, int line, int first, int columns,
                          T* sums) {
  constexpr int kWidth = lanes * N;
  SHARED(T, lines, [kBlock / lanes][count][kWidth]);
#pragma unroll
  for (int i = 0; i < count; ++i) {
#pragma unroll
    for (int j = 0; j < N; ++j) lines[line][i][lane * N + j] = sum[i][j];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < count * kWidth; i += kBlock) {
    const int which = i / kWidth, at = i % kWidth;
    const int64_t to = first + at;
    T total = 0;
    for (int k = 0; k < kBlock / lanes; ++k) total += lines[k][which][at];
    if (to < columns) sums[(blockIdx.x * count + which) * columns + to] = total;
  }
}

// sums[part][i][column] = sum of what `work` adds for the rows of a part. Lane l of a line of eight
// threads adds up the columns N l to N l + N - 1, line r every 16th row from r on, so that a line
// reads 128 bytes of float32 or bfloat16 in one piece.
template <int count, int N, class Work>
__global__ void __launch_bounds__(kBlock)
    column_sums_kernel(Work work, int64_t rows, int64_t share, int columns,
                       typename Work::Sum* sums) {
  using T = typename Work::Sum;
  const int lane = threadIdx.x % kLanes, line = threadIdx.x / kLanes;
  const int column = (static_cast<int>(blockIdx.y) * kLanes + lane) * N;
  const int64_t begin = blockIdx.x * share, end = begin + share < rows ? begin + share : rows;
  T sum[count][N] = {};
  if (column < columns) {
    const auto start = work.template start<N>(begin, column);
    for (int64_t row = begin + line; row < end; row += kLines) work.add(start, row, column, sum);
  }
  const int first = static_cast<int>(blockIdx.y) * kLanes * N;
  add_lines<count, N, kLanes>(sum, lane, line, first, columns, sums);
}

// `columns` is a multiple of N, and the stride of the sums.
template <int count, int N, class Work>
void sum_columns(const Work& work, int64_t rows, int64_t share, int64_t columns,
                 typename Work::Sum* sums, Stream stream) {
  const dim3 grid(static_cast<unsigned>((rows + share - 1) / share),
                  static_cast<unsigned>((columns + kLanes * N - 1) / (kLanes * N)));
  launch("column_sums_kernel", &column_sums_kernel<count, N, Work>, grid, dim3(kBlock), 0, stream,
         work, rows, share, static_cast<int>(columns), sums);
}

// Sums of v - shift and its square, the shift being the part's first row: no digits are lost to a
// large mean.
template <class S>
struct Deviations {
  using Sum = Wide<S>;
  Rows<S> of;

  template <int N>
  __device__ Pack<Sum, N> start(int64_t row, int column) const {
    return of.template read<N>(row, column);
  }
  template <int N>
  __device__ void add(const Pack<Sum, N>& shift, int64_t row, int column, Sum (&sum)[2][N]) const {
    const auto value = of.template read<N>(row, column);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const Sum gap = value.at[i] - shift.at[i];
      sum[0][i] += gap;
      sum[1][i] += gap * gap;
    }
  }
};

struct Moments {
  double count, mean, squares;

  // Chan, Golub & LeVeque 1979: squares += squares' + (mean' - mean)^2 n n' / (n + n').
  __device__ void merge(const Moments& other) {
    if (other.count == 0) return;
    const double total = count + other.count, gap = other.mean - mean;
    mean += gap * (other.count / total);
    squares += other.squares + gap * gap * (count * (other.count / total));
    count = total;
  }
};

// Mean and biased variance of a column from the sums of its parts; one warp per column, whose lanes
// take every 32nd part and then merge as a tree.
template <class S>
__global__ void __launch_bounds__(kBlock)
    merge_moments_kernel(Rows<S> of, int64_t share, int parts, const Wide<S>* sums, int stride,
                         Wide<S>* mean, Wide<S>* variance) {
  const int column = static_cast<int>(blockIdx.x * kBlock + threadIdx.x) / 32;
  const int lane = threadIdx.x % 32;
  Moments total{};
  for (int part = lane; part < parts && column < of.columns; part += 32) {
    const int64_t begin = part * share, left = of.rows - begin;
    const double count = static_cast<double>(left < share ? left : share);
    const double shift = static_cast<double>(widen(of.at[begin * of.stride + column]));
    const double sum = sums[static_cast<int64_t>(2 * part) * stride + column];
    const double squares = sums[static_cast<int64_t>(2 * part + 1) * stride + column];
    total.merge({count, shift + sum / count, squares - sum * (sum / count)});
  }
  for (unsigned by = 16; by > 0; by /= 2) {
    total.merge({__shfl_down_sync(0xffffffffu, total.count, by),
                 __shfl_down_sync(0xffffffffu, total.mean, by),
                 __shfl_down_sync(0xffffffffu, total.squares, by)});
  }
  if (lane != 0 || column >= of.columns) return;
  mean[column] = static_cast<Wide<S>>(total.mean);
  const double value = total.squares / total.count;
  variance[column] = static_cast<Wide<S>>(value < 0 ? 0 : value);
}

inline dim3 warps(int64_t count) {
  return dim3(static_cast<unsigned>((count + kBlock / 32 - 1) / (kBlock / 32)));
}

constexpr int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// Mean and biased variance of every column.
template <class S>
void find_moments(const Workspace& workspace, const Rows<S>& of, Wide<S>* mean, Wide<S>* variance,
                  Stream stream) {
  using T = Wide<S>;
  const Parts parts = cut(of.rows, 64, 256);
  const int64_t stride = round_up(of.columns, kVector<S>);
  T* sums = workspace.take<T>(parts.count * 2 * stride);
  sum_columns<2, kVector<S>>(Deviations<S>{of}, of.rows, parts.share, stride, sums, stream);
  launch("merge_moments_kernel", &merge_moments_kernel<S>, warps(of.columns), dim3(kBlock), 0,
         stream, of, parts.share, parts.count, sums, static_cast<int>(stride), mean, variance);
}

}  // namespace stnas::cuda

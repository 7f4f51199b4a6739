// One product of the choice block by our kernels and by ATen's brgemm, for products.py.
#include <ATen/native/CPUBlas.h>
#include <torch/extension.h>

#include <chrono>

#include "host/operand.h"

namespace stnas::cpu::STNAS_ISA {
namespace {

namespace blas = at::native::cpublas;

template <class O>
using Torch = std::conditional_t<sizeof(O) == 2, at::BFloat16, float>;

// Seconds of one call, over about a millisecond of them.
template <class Call>
double seconds(const Call& call) {
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto passed = [&](auto start) {
    return std::chrono::duration<double>(now() - start).count();
  };
  int count = 0;
  const auto start = now();
  while (passed(start) < 1e-3)
    for (int i = 0; i < 8; ++i) call(), ++count;
  return passed(start) / count;
}

// out = x w, rows of `columns` floats.
template <class O>
void ours(index rows, index depth, index columns, const O* x, const O* panels, float* out) {
  multiply_columns(columns, rows, Rows<O>{x, depth, depth}, panels,
                   [&](index i, index j, auto v) __attribute__((always_inline)) {
                     store(out + i * columns + j, v, columns - j);
                   });
}

template <class O>
void theirs(index rows, index depth, index columns, const O* x, const O* weights, float* out) {
  const auto* a = reinterpret_cast<const Torch<O>*>(x);
  const auto* b = reinterpret_cast<const Torch<O>*>(weights);
  blas::brgemm(rows, columns, depth, depth, columns, columns, false, a, b, out, sizeof(O) == 2);
}

// Seconds of both, and the largest gap between their results over the largest result.
template <class O>
std::tuple<double, double, double> run(index rows, index depth, index columns) {
  Scratch scratch;
  const at::Tensor wide = at::randn(rows * depth), weight = at::randn(depth * columns);
  const index blocks = round_up(columns, kLanes) / kLanes, padded = padded_depth<O>(depth);
  auto* panels = scratch.take<float>(blocks * depth * kLanes);
  pack_rows(weight.data_ptr<float>(), depth, columns, depth, panels);
  const auto x = operand_rows<O>(scratch, wide.data_ptr<float>(), rows, depth);
  const O* mine = pack_operand<O>(scratch, blocks, depth, panels);
  // Theirs: row-major, in bfloat16 pairs of rows.
  auto* yours = scratch.zeros<O>(padded * columns);
  const index pair = sizeof(O) == 2 ? 2 : 1;
  for (index k = 0; k < depth; ++k)
    for (index j = 0; j < columns; ++j)
      yours[(k / pair * columns + j) * pair + k % pair] =
          mine[j / kLanes * padded * kLanes + (k / pair * kLanes + j % kLanes) * pair + k % pair];
  const auto a = at::empty({rows * columns + kLanes}), b = at::empty({rows * columns + kLanes});
  float *to = a.data_ptr<float>(), *beside = b.data_ptr<float>();
  const auto first = [&] { ours<O>(rows, padded, columns, x.data, mine, to); };
  const auto second = [&] { theirs<O>(rows, padded, columns, x.data, yours, beside); };
  second();
  const double other = seconds(second);
  blas::brgemm_release();
  const double own = [&] {
    const TileScope tiles;  // one serves the many products of a task
    first();
    return seconds(first);
  }();
  const auto gap = (a - b).slice(0, 0, rows * columns).abs().max();
  return {own, other, (gap / b.slice(0, 0, rows * columns).abs().max()).item<double>()};
}

}  // namespace
}  // namespace stnas::cpu::STNAS_ISA

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  using namespace stnas::cpu;
  m.def("float32", STNAS_ISA::run<float>);
  if constexpr (STNAS_ISA::kMultipliesPairs)
    m.def("bfloat16", STNAS_ISA::run<STNAS_ISA::Operand<BFloat16>>);
}

// The convolutions of edges and their gradients for one instruction set.
#include "host/table.h"
#include "mixture/cpu/convolution.h"

namespace stnas::cpu::STNAS_ISA {

#define STNAS_TABLE(type)                                                                \
  template <>                                                                            \
  const ConvolutionKernels<type>& table() {                                              \
    static constexpr ConvolutionKernels<type> kernels{                                   \
        [](const EdgeConvolutions<type>& p, type* z, type* statistics) {                 \
          convolve_edges(p, z, statistics);                                              \
        },                                                                               \
        [](const EdgeConvolutions<type>& p, const EdgeGradients<type>& from, type* of_x, \
           type* of_kernel) { differentiate_edges(p, from, of_x, of_kernel); }};         \
    return kernels;                                                                      \
  }
STNAS_EACH_WIDE_TYPE(STNAS_TABLE)
#undef STNAS_TABLE

}  // namespace stnas::cpu::STNAS_ISA

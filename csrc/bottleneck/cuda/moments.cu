// The moments of a node, and sums of nodes.
#include "bottleneck/cuda/launchers.h"
#include "bottleneck/cuda/moments.cuh"
#include "device/rows.cuh"

namespace stnas::cuda {

template <class S>
void NodeMoments<S>::run(const cpu::Node<Wide<S>, S>& node, Wide<S>* to, const Workspace& workspace,
                         void* stream) {
  node_moments(node, to, workspace, static_cast<Stream>(stream));
}

template <class S>
void sum_images(const cpu::ImageSum<S>& of, void* stream) {
  PartSum<S> sum{{},
                 static_cast<int>(of.count),
                 static_cast<int>(of.channels),
                 is_wide(of.out, of.channels),
                 of.divisor,
                 of.out};
  for (int i = 0; i < sum.count; ++i) {
    sum.parts[i] = of.parts[i];
    sum.wide = sum.wide && aligned(of.parts[i]);
  }
  each_row<kVector<S>>(sum, of.rows, of.channels, static_cast<Stream>(stream));
}

template void sum_images(const cpu::ImageSum<float>&, void*);
template void sum_images(const cpu::ImageSum<double>&, void*);
template void sum_images(const cpu::ImageSum<cpu::BFloat16>&, void*);
template struct NodeMoments<float>;
template struct NodeMoments<double>;
template struct NodeMoments<cpu::BFloat16>;

}  // namespace stnas::cuda

// The moments of a node.
#include "moments.cuh"

namespace stnas::cuda {

template <class S>
void NodeMoments<S>::run(const cpu::Node<Wide<S>, S>& node, Wide<S>* to,
                         const Workspace& workspace, void* stream) {
  node_moments(node, to, workspace, static_cast<Stream>(stream));
}

template struct NodeMoments<float>;
template struct NodeMoments<double>;
template struct NodeMoments<cpu::BFloat16>;

}  // namespace stnas::cuda

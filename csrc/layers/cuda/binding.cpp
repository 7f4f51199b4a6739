// BN with its activation on a device.
#include "device/lender.h"
#include "layers/cuda/launchers.h"
#include "layers/norm_act_operators.h"

namespace stnas::cuda {
namespace {

using cpu::NormAct;

class Layer : public Lender {
 public:
  using Lender::Lender;

  template <class T>
  void norm_act(const NormAct<T>& p, T* statistics, T* out) const {
    lend(p);
    lend(statistics, 2 * p.channels, "statistics", false);
    lend(out, p.rows * p.channels, "out", false);
    cuda::norm_act(p, statistics, out, workspace(), stream());
  }

  template <class T>
  void norm_act_gradient(const NormAct<T>& p, const T* statistics, const T* grad, T* grad_x,
                         T* affine) const {
    lend(p);
    lend(statistics, 2 * p.channels, "statistics", true);
    lend(grad, p.rows * p.channels, "grad", true);
    lend(grad_x, p.rows * p.channels, "grad_x", false);
    lend(affine, 2 * p.channels, "affine gradients", false);
    cuda::norm_act_gradient(p, statistics, grad, grad_x, affine, workspace(), stream());
  }

 private:
  using Lender::lend;
  template <class T>
  void lend(const NormAct<T>& p) const {
    lend(p.x, p.rows * p.channels, "x", true);
    lend(p.norm.weight, p.channels, "weight", true);
    lend(p.norm.bias, p.channels, "bias", true);
  }
};

}  // namespace
}  // namespace stnas::cuda

STABLE_TORCH_LIBRARY_IMPL(STNAS_DEVICE_LIBRARY, STNAS_DEVICE_KEY, ops) {
  stnas::cpu::implement_norm_act<stnas::cuda::Layer>(ops);
}

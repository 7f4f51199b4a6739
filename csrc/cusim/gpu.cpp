// A GPU for whole programs, without one: torch's device `emulated`, behind torch's key PrivateUse1.
//
// Its memory is the processor's, and torch's CPU kernels compute on it; an operator of stnas is
// computed by the emulator's, that is by the CUDA kernels. What a real GPU would refuse or wait for
// is refused and counted here: tensors of two devices in one operator, operators of stnas that have
// no CUDA kernel, copies and operators whose result the host waits for. Streams and events do
// nothing.
#include <ATen/EmptyTensor.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/CPUAllocator.h>
#include <torch/library.h>

#include <atomic>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "cusim/gpu.h"

namespace cusim::gpu {
namespace {

using c10::DispatchKey;
using c10::IValue;

std::atomic<int64_t> calls{0};

// Memory of one device seen as another's, which lives as long as either.
c10::Storage seen_as(const c10::Storage& storage, c10::Device device) {
  auto* kept = new c10::Storage(storage);
  void* memory = const_cast<void*>(storage.data());
  c10::DataPtr pointer(memory, kept, [](void* p) { delete static_cast<c10::Storage*>(p); }, device);
  return {c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(pointer),
          c10::GetCPUAllocator(), true};
}

at::Tensor with_storage(const at::Tensor& like, c10::Storage storage, DispatchKey key) {
  auto made = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key),
                                                       like.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(),
                                                    like.storage_offset());
  return made;
}

// A view of a device's tensor, of the sizes and strides of the one that a CPU kernel made.
at::Tensor view_of(const at::Tensor& own, const at::Tensor& found) {
  auto made = at::detail::make_tensor<c10::TensorImpl>(
      c10::TensorImpl::VIEW, c10::Storage(own.storage()), own.key_set(), found.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(found.sizes(), found.strides(),
                                                    found.storage_offset());
  return made;
}

// The tensors of one call: as they are, and as the CPU's kernels see them.
class Call {
 public:
  explicit Call(const c10::OperatorHandle& op) : name_(op.schema().name()) {}

  IValue here(const IValue& value) {
    if (value.isTensor()) return IValue(here(value.toTensor()));
    if (value.isTensorList()) {
      c10::List<at::Tensor> found;
      for (const at::Tensor& each : value.toTensorVector()) found.push_back(here(each));
      return found;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> found;
      for (const auto& each : value.toOptionalTensorVector()) {
        found.push_back(each ? std::optional<at::Tensor>(here(*each)) : std::nullopt);
      }
      return found;
    }
    if (value.isDevice() && value.toDevice().type() == kGpu) return IValue(kHere);
    return value;
  }

  IValue there(const IValue& value) const {
    if (value.isTensor()) return IValue(there(value.toTensor()));
    if (!value.isTensorList()) return value;
    c10::List<at::Tensor> found;
    for (const at::Tensor& each : value.toTensorVector()) found.push_back(there(each));
    return found;
  }

  // Lets tensors that the call has resized, or laid out anew, be so on the device.
  void settle() const {
    for (const auto& [own, seen] : pairs_) {
      auto* impl = own.unsafeGetTensorImpl();
      if (seen.storage().data() != own.storage().data()) {
        impl->set_storage_keep_dtype(seen_as(seen.storage(), kThere));
      }
      if (seen.sizes() != own.sizes() || seen.strides() != own.strides()) {
        impl->set_sizes_and_strides(seen.sizes(), seen.strides(), seen.storage_offset());
      }
    }
  }

 private:
  at::Tensor here(const at::Tensor& own) {
    if (!own.defined()) return own;
    if (own.device().type() != kGpu) {
      TORCH_CHECK(own.dim() == 0, "Expected all tensors to be on the same device, but got one on ",
                  own.device(), " beside others on ", kThere, " in ", name_);
      return own;
    }
    pairs_.emplace_back(own, with_storage(own, seen_as(own.storage(), kHere), DispatchKey::CPU));
    return pairs_.back().second;
  }

  at::Tensor there(const at::Tensor& found) const {
    if (!found.defined()) return found;
    for (const auto& [own, seen] : pairs_) {
      if (found.is_same(seen)) return own;
    }
    for (const auto& [own, seen] : pairs_) {
      if (found.storage().unsafeGetStorageImpl() == seen.storage().unsafeGetStorageImpl()) {
        return view_of(own, found);
      }
    }
    return with_storage(found, seen_as(found.storage(), kThere), DispatchKey::PrivateUse1);
  }

  std::string name_;
  std::vector<std::pair<at::Tensor, at::Tensor>> pairs_;
};

// Whether the host waits for an operator's result on a GPU: its size, or its value, is needed
// there.
bool waits_for(const std::string& name, at::ArrayRef<IValue> given) {
  static const std::unordered_set<std::string> kNames = {"aten::_local_scalar_dense",
                                                         "aten::nonzero",
                                                         "aten::masked_select",
                                                         "aten::bincount",
                                                         "aten::equal",
                                                         "aten::_unique2",
                                                         "aten::unique_consecutive",
                                                         "aten::unique_dim"};
  if (kNames.count(name)) return true;
  if (name != "aten::index" && name != "aten::index_put_" && name != "aten::_index_put_impl_") {
    return false;
  }
  for (const auto& each : given[1].toOptionalTensorVector()) {
    if (each && each->scalar_type() == at::kBool) return true;
  }
  return false;
}

const std::string kEmulator = "stnas_sim::";

bool has_kernel(const c10::OperatorHandle& op) {
  return op.hasKernelForDispatchKey(DispatchKey::CPU);
}

// The operator whose CPU kernel computes: of stnas the emulator's, of torch itself but for two that
// it leaves to the makers of devices.
c10::OperatorHandle computing(const c10::OperatorHandle& op) {
  static const std::map<std::string, std::string> kOthers = {
      {"aten::convolution_overrideable", "aten::convolution"},
      {"aten::convolution_backward_overrideable", "aten::convolution_backward"}};
  const auto& [name, overload] = op.operator_name();
  const auto other = kOthers.find(name);
  if (other != kOthers.end()) {
    return c10::Dispatcher::singleton().findSchemaOrThrow(other->second.c_str(), "");
  }
  if (name.rfind("stnas::", 0) != 0) return op;
  auto found = c10::Dispatcher::singleton().findSchema({kEmulator + name.substr(7), overload});
  TORCH_CHECK(found && has_kernel(*found), "Could not run '", name,
              "' on a GPU: it has no CUDA kernel");
  return *found;
}

void run(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const size_t count = op.schema().arguments().size();
  Call call(op);
  ++calls;
  if (waits_for(op.schema().name(), torch::jit::last(*stack, count))) wait_for(op.schema().name());
  for (size_t i = stack->size() - count; i < stack->size(); ++i)
    (*stack)[i] = call.here((*stack)[i]);
  const at::AutoDispatchBelowADInplaceOrView guard;
  if (op.schema().name() == "aten::convolution_backward_overrideable") {
    const int64_t channels = (*stack)[stack->size() - count + 2].toTensor().size(0);
    stack->insert(stack->end() - 7, IValue(std::vector<int64_t>{channels}));  // sizes of a bias
  }
  computing(op).redispatchBoxed(c10::DispatchKeySet(DispatchKey::CPU), stack);
  call.settle();
  for (size_t i = stack->size() - op.schema().returns().size(); i < stack->size(); ++i) {
    (*stack)[i] = call.there((*stack)[i]);
  }
}

// What autocast does for a convolution and a linear layer: their tensors become bfloat16.
void narrow(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::impl::ExcludeDispatchKeyGuard once(DispatchKey::AutocastPrivateUse1);
  for (size_t i = stack->size() - op.schema().arguments().size(); i < stack->size(); ++i) {
    const IValue& given = (*stack)[i];
    if (given.isTensor() && given.toTensor().defined()) {
      (*stack)[i] = IValue(given.toTensor().to(at::kBFloat16));
    }
  }
  op.callBoxed(stack);
}

at::Tensor seen_here(const at::Tensor& own) {
  if (own.device().type() != kGpu) return own;
  return with_storage(own, seen_as(own.storage(), kHere), DispatchKey::CPU);
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (from.device() != to.device()) {
    const at::Tensor& host = from.device().type() == kGpu ? to : from;
    if (!non_blocking || !is_pinned(host.storage().data())) {
      wait_for(from.device().type() == kGpu ? "copy to the host" : "copy to the device");
    }
  }
  const at::AutoDispatchBelowADInplaceOrView guard;
  seen_here(to).copy_(seen_here(from));
  return to;
}

at::Tensor& set_storage(at::Tensor& own, c10::Storage storage, int64_t offset,
                        at::IntArrayRef sizes, at::IntArrayRef strides) {
  auto* impl = own.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(std::move(storage));
  impl->set_sizes_and_strides(sizes, strides, offset);
  return own;
}

at::Tensor& set_whole_storage(at::Tensor& own, c10::Storage storage) {
  const auto size = static_cast<int64_t>(storage.nbytes() / own.itemsize());
  return set_storage(own, std::move(storage), 0, {size}, {1});
}

TORCH_LIBRARY(stnas_gpu, ops) {
  ops.def("waits(bool reset) -> int", &waited);
  ops.def("waited_for() -> str", &waited_for);
  ops.def("calls() -> int", [] { return calls.load(); });
}
TORCH_LIBRARY_IMPL(_, PrivateUse1, ops) {
  ops.fallback(torch::CppFunction::makeFromBoxedFunction<&run>());
}
TORCH_LIBRARY_IMPL(aten, PrivateUse1, ops) {
  ops.impl("_copy_from", &copy_from);
  ops.impl("set_.source_Storage", &set_whole_storage);
  ops.impl("set_.source_Storage_storage_offset", &set_storage);
  for (const char* name : {"convolution_overrideable", "convolution_backward_overrideable"}) {
    ops.impl(name, torch::CppFunction::makeFromBoxedFunction<&run>());
  }
}
TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, ops) {
  ops.fallback(torch::CppFunction::makeFallthrough());
}
TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, ops) {
  for (const char* name : {"conv2d", "linear"}) {
    ops.impl(name, torch::CppFunction::makeFromBoxedFunction<&narrow>());
  }
}
// The emulator's library is loaded before this one.
TORCH_LIBRARY_IMPL(stnas, PrivateUse1, ops) {
  auto& all = c10::Dispatcher::singleton();
  for (const auto& name : all.getAllOpNames()) {
    if (name.name.rfind(kEmulator, 0) == 0 && has_kernel(*all.findSchema(name))) {
      ops.impl(name.name.substr(kEmulator.size()).c_str(),
               torch::CppFunction::makeFromBoxedFunction<&run>());
    }
  }
}

}  // namespace
}  // namespace cusim::gpu

// Every operator of the extension: its schema, and nothing else. Each device registers its kernels.
#include <Python.h>
#include <torch/csrc/stable/library.h>

// The tests build the same operators a second time, on emulated devices, as another library.
#ifndef STNAS_LIBRARY
#define STNAS_LIBRARY stnas
#endif
#define STNAS_SCHEMAS(library, ops) STABLE_TORCH_LIBRARY(library, ops)

STNAS_SCHEMAS(STNAS_LIBRARY, ops) {
  // The SE linear bottleneck with batch statistics, added to a node: into = [into +] block, and the
  // running statistics (mean and variance of the three BN, or none) moved by momentum. x is NCHW in
  // channels_last order. moments: `node_moments` of x, where known. weights: expand, depthwise,
  // squeeze_weight, squeeze_bias, excite_weight, excite_bias, project. affine: weight and bias of
  // the three BN. Returns what the gradient needs where `keep`, else empty tensors; statistics are
  // mean and biased variance of the three BN.
  ops.def(
      "linear_bottleneck_add_(Tensor x, Tensor? moments, Tensor[] weights, Tensor?[] affine, "
      "Tensor(a!)[] running, float momentum, Tensor(b!) into, bool add, int stride, "
      "str activation, bool residual, bool keep) -> (Tensor statistics, Tensor hidden, "
      "Tensor projected, Tensor excitation, Tensor expanded)");
  // Gradients of x; and of the seven weights, and of the affine parameters in one tensor, one after
  // the other.
  ops.def(
      "linear_bottleneck_backward(Tensor grad, Tensor x, Tensor[] weights, Tensor?[] affine, "
      "Tensor[] kept, int stride, str activation, bool residual) -> (Tensor, Tensor[])");
  // All blocks of an architecture. plan: for each step source, target, stride (0: the identity),
  // residual, whether the block has running statistics, divisor, the number of other sources and
  // these: value[target] = ([value[target] +] block(value[source]) [+ value[other]...]) / divisor,
  // with value[0] = x. weights: seven of each block. affine: six of each, or none at all. running:
  // of each block that has them mean and variance of the three BN. Returns the last value or, where
  // `keep`, the values of all targets, then what the gradient of each block needs, where `keep`,
  // and last the running statistics moved by the momenta of their blocks.
  ops.def(
      "linear_bottleneck_path(Tensor x, Tensor[] weights, Tensor?[] affine, Tensor[] running, "
      "float[] momenta, int[] plan, str activation, bool keep) -> (Tensor[], Tensor[], Tensor[])");
  // The gradient of x, and of each block that the gradient reaches those of the seven weights and,
  // unless `affine` is empty, of the affine parameters in one. values: of the targets but the last.
  ops.def(
      "linear_bottleneck_path_backward(Tensor grad, Tensor x, Tensor[] values, Tensor[] weights, "
      "Tensor?[] affine, Tensor[] kept, int[] plan, str activation) -> (Tensor, Tensor[])");
  // Mean and covariance [1 + C, C] over the pixels of x [N, C, H, W] in channels_last order.
  ops.def("node_moments(Tensor x) -> Tensor");
  // The SE linear bottleneck with running statistics: mean and variance of the three BN.
  ops.def(
      "linear_bottleneck_inference(Tensor x, Tensor[] weights, Tensor?[] affine, Tensor[] running, "
      "int stride, str activation, bool residual) -> Tensor");
  // The shuffle block with batch statistics, x NCHW in channels_last order. weights: those of the
  // first head, `main` of them, then those of the second; without one half of x's channels pass by.
  // affine: weight and bias of the BN behind each. Returns out; the values of each layer before its
  // BN where `keep`, else none; mean and biased variance of each BN.
  ops.def(
      "shuffle_block_train(Tensor x, Tensor[] weights, int main, Tensor?[] affine, int stride, "
      "bool keep) "
      "-> (Tensor out, Tensor[] values, Tensor statistics)");
  // Gradients of x, of the weights, and of weight and bias of each BN in one tensor.
  ops.def(
      "shuffle_block_backward(Tensor grad, Tensor x, Tensor[] weights, int main, Tensor?[] affine, "
      "Tensor[] values, Tensor statistics, int stride) -> (Tensor, Tensor[], Tensor)");
  // The shuffle block with running statistics.
  ops.def(
      "shuffle_block_inference(Tensor x, Tensor[] weights, int main, Tensor?[] affine, Tensor[] "
      "running, "
      "int stride) -> Tensor");
  // The convolutions of max(x, 0) for all edges that leave a node, kernel [edges C, C, K, K] of an
  // odd size, padded by K / 2: z [N, edges C, H, W], with mean and biased variance of its channels
  // [2, edges C]. x is NCHW in channels_last order, and so is z.
  ops.def("edge_convolutions(Tensor x, Tensor kernel) -> (Tensor z, Tensor statistics)");
  // Adds the gradient of x to of_x; returns that of the kernel where it is wanted, else an empty
  // tensor. The gradient of z is made of grads, those of the nodes that the edges enter, by the
  // corrections of each edge, which `mixed_node_backward_` gives.
  ops.def(
      "edge_convolutions_backward_(Tensor[] grads, Tensor[] corrections, Tensor x, Tensor z, "
      "Tensor kernel, Tensor(a!) of_x, bool wants_kernel) -> Tensor");
  // The value of a node whose entering edges are mixed, sum_i s_i0 x_i + s_i1 mean3x3(x_i) +
  // sum_k s_ik BN(z_ik). x: the nodes before it, NCHW in channels_last order; the mean is over the
  // pixels that are there. z, statistics: equally many for each x, of `edge_convolutions`: for the
  // edges from it to this and other nodes their channels side by side; this node's come after as
  // many edges as there are nodes between. shares: a row for each x.
  ops.def("mixed_node(Tensor[] x, Tensor[] z, Tensor[] statistics, Tensor shares) -> Tensor");
  // Its gradients, written to of_x (or added, `add`). Returns those of the shares where they are
  // wanted, else no row, and the corrections of each z [4, C]: m, a, b and c of its gradient
  // a grad - b - c (z - m).
  ops.def(
      "mixed_node_backward_(Tensor grad, Tensor[] x, Tensor[] z, Tensor[] statistics, "
      "Tensor shares, Tensor(a!)[] of_x, bool add, bool wants_shares) -> (Tensor, Tensor)");
  // The block between two stages, with batch statistics: BN(second * relu(BN(first * relu(x)))) +
  // shortcut mean2x2(x), first [C_out, C, 3, 3] with stride 2, second [C_out, C_out, 3, 3],
  // shortcut [C_out, C, 1, 1]. Returns out; what both convolutions give; mean and biased variance
  // of these [2, 2, C_out].
  ops.def(
      "halving_block(Tensor x, Tensor first, Tensor second, Tensor shortcut) -> (Tensor out, "
      "Tensor z, Tensor last, Tensor statistics)");
  // Gradients of x and of the kernels, which are empty where they are not wanted.
  ops.def(
      "halving_block_backward(Tensor grad, Tensor x, Tensor first, Tensor second, "
      "Tensor shortcut, Tensor z, Tensor last, Tensor statistics, bool wants_kernels) -> (Tensor, "
      "Tensor, Tensor, Tensor)");
  // The kernels of edges one upon the other [edges C_out, C, size, size], each the sum of its
  // members' in the middle of zeros: sum_m s_m K_m / (|K_m| + 1e-6), the norm of each output
  // channel, or sum_m s_m K_m. kernels: of each edge, its members'. shares: [edges, members].
  ops.def("merge_kernels(Tensor[] kernels, Tensor shares, int size, bool normalised) -> Tensor");
  // Its gradients, of the kernels and of the shares.
  ops.def(
      "merge_kernels_backward(Tensor grad, Tensor[] kernels, Tensor shares, int size, "
      "bool normalised) -> (Tensor[], Tensor)");
  // Half a separable convolution with batch statistics: scale BN(pointwise sum_t DW_t ReLU(xs[t])),
  // xs NCHW in channels_last order. kernels: depthwise, K 3 or 5, or empty: each stride-th pixel
  // of xs[t] from shifts[t] on; grids: dilations. Returns out; the sum of the depthwise
  // convolutions where `keep`, else an empty tensor; its mean and covariance [1 + C, C]; mean and
  // biased variance of the BN [2, C_out].
  ops.def(
      "relu_dw_pw_bn_forward(Tensor[] xs, Tensor[] kernels, int[] strides, int[] grids, "
      "int[] shifts, Tensor pointwise, Tensor? scale, Tensor? weight, Tensor? bias, bool keep) "
      "-> (Tensor out, Tensor values, Tensor moments, Tensor statistics)");
  // Gradients of xs, of the kernels, of pointwise, of the scale, and of weight and bias [2, C_out].
  ops.def(
      "relu_dw_pw_bn_backward(Tensor grad, Tensor[] xs, Tensor[] kernels, int[] strides, "
      "int[] grids, int[] shifts, Tensor pointwise, Tensor? scale, Tensor? weight, Tensor? bias, "
      "Tensor values, Tensor moments, Tensor statistics) "
      "-> (Tensor[], Tensor[], Tensor, Tensor, Tensor)");
  // part sum_i shares[i] K_i of kernels [C, 1, k, k], the smaller ones in the middle of zeros;
  // normalise: each channel of a kernel is divided by its norm and 1e-6. part, shares: a value
  // each.
  ops.def(
      "mixed_kernel(Tensor[] kernels, Tensor[] shares, Tensor? part, bool normalise) -> Tensor");
  // Gradients of the kernels, and of shares and part in one.
  ops.def(
      "mixed_kernel_backward(Tensor grad, Tensor[] kernels, Tensor[] shares, Tensor? part, "
      "bool normalise) -> (Tensor[], Tensor)");
  // BN(max3x3(x)) and BN(mean3x3(x)) of x, NCHW in channels_last order: padded, the mean over the
  // pixels that are there, BN with the statistics of the batch. Then what the gradient needs.
  ops.def(
      "pooled_norms(Tensor x, int stride) -> (Tensor largest, Tensor mean, Tensor places, "
      "Tensor inverse)");
  ops.def(
      "pooled_norms_backward(Tensor of_largest, Tensor of_mean, Tensor x, Tensor largest, "
      "Tensor mean, Tensor places, Tensor inverse, int stride) -> Tensor");
  // act(BN(x)) with batch statistics, x [N, C, H, W] in channels_last order. Returns out, and mean
  // and biased variance [2 C].
  ops.def(
      "norm_act_forward(Tensor x, Tensor? weight, Tensor? bias, str activation) "
      "-> (Tensor, Tensor)");
  // Gradients of x, and of weight and bias [2 C].
  ops.def(
      "norm_act_backward(Tensor grad, Tensor x, Tensor? weight, Tensor? bias, Tensor statistics, "
      "str activation) -> (Tensor, Tensor)");
  // The mean over the pixels of x [N, C, H, W] in channels_last order, [N, C], and its gradient.
  ops.def("pool_forward(Tensor x) -> Tensor");
  ops.def("pool_backward(Tensor grad, int height, int width) -> Tensor");
  // A convolution of x [N, C, H, W] with weight [C_out, C, K, K], both in channels_last order,
  // padded by K / 2.
  ops.def("convolution_forward(Tensor x, Tensor weight, int stride) -> Tensor");
  // Gradients of x, empty unless `wants_x`, and of weight.
  ops.def(
      "convolution_backward(Tensor grad, Tensor x, Tensor weight, int stride, bool wants_x) "
      "-> (Tensor, Tensor)");
  // Windows of the images [N, C, H, W] `rows`, padded with black: (v / 255 - mean) / std,
  // channels_last.
  ops.def(
      "crop_mirror_normalise(Tensor images, Tensor rows, Tensor? offsets, Tensor? mirrored, "
      "int padding, float[] mean, float[] std) -> Tensor");
  // One step of stochastic gradient Langevin descent on every parameter. The noise of tensor t is
  // `noise` times a standard normal of (seed, step, ids[t], element), times the root mean square of
  // the tensor where `relative`.
  ops.def(
      "sgld_step_(Tensor(a!)[] params, Tensor[] grads, int[] ids, float lr, float weight_decay, "
      "float noise, bool relative, int seed, int step) -> ()");
  // The standard normal numbers of a tensor of float32, and the 32-bit words they are made of.
  ops.def("standard_normal_(Tensor(a!) out, int seed, int step, int id) -> ()");
  ops.def("random_words_(Tensor(a!) out, int seed, int step, int id, int block) -> ()");
  // counts[i] = sum_g table[g, genotypes[i, g]]: int8 [n, genes], int64 [genes, choices] -> int64
  // [n].
  ops.def("count_madds(Tensor genotypes, Tensor table, int threads) -> Tensor");
  // The devices that CUDA kernels were compiled for, "" where there are none.
  ops.def("cuda_targets() -> str");
  // The instruction set of the CPU kernels in use, and all that are there on this machine, in
  // words.
  ops.def("isa() -> str");
  ops.def("isas() -> str");
}

// `import stnas._C` loads the library, which registers the operators.
PyMODINIT_FUNC PyInit__C(void) {
  static PyModuleDef module = {
      PyModuleDef_HEAD_INIT, "_C", nullptr, -1, nullptr, nullptr, nullptr, nullptr, nullptr};
  return PyModule_Create(&module);
}

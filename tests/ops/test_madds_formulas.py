"""Multiply-adds of layers against closed forms, and which operators have no price."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils import flop_counter
from torch.utils.flop_counter import FlopCounterMode

from stnas.ops import madds_formulas
from stnas.ops.flops import count_madds

SIZES = st.integers(1, 6)


class Calls(nn.Module):
    """Calls a function of the module and its input, with parts and tensors as attributes."""

    def __init__(self, function: Any, **attributes: Any) -> None:
        super().__init__()
        self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self, *inputs)


def counted(module: nn.Module, *shapes: tuple[int, ...]) -> int:
    """Count as PyTorch does, on real tensors, with gradients off and without fused layers."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(*(torch.zeros(1, *shape) for shape in shapes))
    return counter.get_total_flops() // 2


@given(dims=st.integers(1, 3), groups=st.integers(1, 3), data=st.data())
def test_convolutions_equal_the_closed_form_and_the_counter(dims, groups, data):
    inputs, outputs = (groups * data.draw(st.integers(1, 3)) for _ in range(2))
    kernel, stride, dilation = (data.draw(st.integers(1, 3)) for _ in range(3))
    padding, size = data.draw(st.integers(0, 2)), data.draw(st.integers(9, 12))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](inputs, outputs, kernel, **options)
    outer = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    expected = outer**dims * kernel**dims * inputs * outputs // groups
    shape = (inputs, *[size] * dims)
    assert count_madds(layer, shape) == expected == counted(layer, shape)


@given(dims=st.integers(1, 3), groups=st.integers(1, 3), size=SIZES, data=st.data())
def test_transposed_convolutions_read_each_input_pixel_once_a_weight(dims, groups, size, data):
    inputs, outputs = (groups * data.draw(st.integers(1, 3)) for _ in range(2))
    kernel, stride = (data.draw(st.integers(1, 3)) for _ in range(2))
    form = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1]
    layer = form(inputs, outputs, kernel, stride, groups=groups)
    expected = size**dims * kernel**dims * inputs * outputs // groups
    shape = (inputs, *[size] * dims)
    assert count_madds(layer, shape) == expected == counted(layer, shape)


@given(first=SIZES, second=SIZES, out=SIZES, rows=st.integers(1, 4), bias=st.booleans())
def test_a_bilinear_layer_uses_each_weight_once_a_row(first, second, out, rows, bias):
    layer = nn.Bilinear(first, second, out, bias=bias)
    assert count_madds(layer, [(rows, first), (rows, second)]) == rows * first * second * out


@given(
    gates=st.sampled_from([(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)]),
    width=SIZES,
    hidden=st.integers(2, 6),
    steps=st.integers(1, 4),
    layers=st.integers(1, 2),
    both=st.booleans(),
)
def test_recurrent_layers_multiply_by_every_matrix_at_every_step(
    gates, width, hidden, steps, layers, both
):
    form, rows = gates
    network = form(width, hidden, layers, bidirectional=both, batch_first=True)
    below = [width] + [hidden * (1 + both)] * (layers - 1)
    matrices = sum(rows * hidden * (own + hidden) for own in below)
    assert count_madds(network, (steps, width)) == steps * (1 + both) * matrices


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_projected_lstm_multiplies_by_its_projection():
    assert count_madds(nn.LSTM(4, 5, proj_size=3), (7, 4)) == 7 * (20 * 4 + 20 * 3 + 3 * 5)
    assert count_madds(nn.LSTMCell(4, 5), (4,)) == 20 * 9
    assert count_madds(nn.GRUCell(4, 5), (4,)) == 15 * 9


@given(heads=st.integers(1, 3), width=st.integers(1, 3), steps=SIZES, keys=SIZES)
def test_attention_is_four_projections_and_two_products(heads, width, steps, keys):
    size = heads * width
    layer = nn.MultiheadAttention(size, heads, batch_first=True)
    expected = 2 * (steps + keys) * size**2 + 2 * steps * keys * size
    assert count_madds(layer, [(steps, size), (keys, size), (keys, size)]) == expected


def attend(_: nn.Module, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(q, k, v)


@given(heads=SIZES, steps=SIZES, keys=SIZES, width=SIZES)
def test_scaled_dot_products_are_two_matrix_products(heads, steps, keys, width):
    shapes = [(heads, steps, width), (heads, keys, width), (heads, keys, width)]
    assert count_madds(Calls(attend), shapes) == 2 * heads * steps * keys * width


@pytest.mark.parametrize("training", [True, False])
def test_an_encoder_counts_the_same_where_torch_would_fuse_it(training):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).train(training)
    own = 4 * 5 * 64 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16
    assert count_madds(layer, (5, 8)) == own
    assert count_madds(nn.TransformerEncoder(layer, 3), (5, 8)) == 3 * own


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda own, x: x @ own.matrix, 3 * 4 * 5),
        (lambda own, x: x @ own.vector, 3 * 4),
        (lambda own, x: x[0, 0] @ own.vector, 4),
        (lambda own, x: torch.vdot(x[0, 0], own.vector), 4),
        (lambda own, x: torch.addmv(x[0, :, 0], x[0], own.vector), 3 * 4),
        (lambda own, x: torch.zeros(3, 5).addmm_(x[0], own.matrix), 3 * 4 * 5),
        (lambda own, x: torch.addbmm(torch.zeros(3, 3), x, x.mT), 3 * 4 * 3),
        (lambda own, x: torch.einsum("ntc,cd->ntd", x, own.matrix), 3 * 4 * 5),
        (lambda own, x: torch.einsum("ntc,nsc->nts", x, x), 3 * 4 * 3),
        (lambda own, x: torch.tensordot(x, own.matrix, 1), 3 * 4 * 5),
        (lambda own, x: functional.conv1d(x, own.kernel), 2 * 3 * 2 * 3),
        (lambda own, x: torch.vmap(lambda row: row @ own.matrix)(x), 3 * 4 * 5),
        (lambda own, x: x.outer(own.vector) if x.ndim == 1 else x * own.vector, 0),
    ],
)
def test_products_by_function_are_counted(function, expected):
    tensors = {"matrix": torch.ones(4, 5), "vector": torch.ones(4), "kernel": torch.ones(2, 3, 2)}
    assert count_madds(Calls(function, **tensors), (3, 4)) == expected


@pytest.mark.parametrize(
    ("layer", "shape", "dtype"),
    [
        (nn.EmbeddingBag(9, 4), (3,), torch.int64),
        (nn.Embedding(9, 4), (3,), torch.int32),
        (nn.Upsample(scale_factor=2, mode="bilinear"), (3, 5, 5), None),
        (nn.Unfold(3), (3, 5, 5), None),
        (nn.CosineSimilarity(), [(3, 5), (3, 5)], None),
        (nn.GroupNorm(1, 3), (3, 5, 5), None),
        (nn.Sequential(nn.AlphaDropout(), nn.RReLU(), nn.LPPool2d(2, 2)), (3, 4, 4), None),
    ],
    ids=str,
)
def test_layers_without_products_cost_nothing(layer, shape, dtype):
    assert count_madds(layer, shape, dtype=dtype) == 0


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda own, x: torch.fft.rfft2(x), "aten._fft_r2c"),
        (lambda own, x: torch.cdist(x, x), "aten._cdist_forward"),
        (lambda own, x: torch.linalg.inv(x), "aten.linalg_inv_ex"),
        (lambda own, x: torch.linalg.svd(x)[0], "aten._linalg_svd"),
        (lambda own, x: torch.sparse.mm(own.sparse, x[0]), "aten._sparse_addmm"),
    ],
)
def test_an_operator_without_a_price_is_refused_by_name(function, name):
    module = Calls(function, sparse=torch.eye(4).to_sparse())
    repair = rf"got torch.ops.{name} in the layer 'inner'.*register_flop_formula\(torch.ops.{name}"
    with pytest.raises(ValueError, match=repair):
        count_madds(Named(module), (4, 4))


class Named(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        return self.inner(x)


def test_the_repair_of_the_refusal_works(monkeypatch):
    monkeypatch.setattr(flop_counter, "flop_registry", dict(flop_counter.flop_registry))
    transform = Calls(lambda own, x: own.mix(torch.fft.rfft(x).real), mix=nn.Linear(5, 2))
    with pytest.raises(ValueError, match="_fft_r2c"):
        count_madds(transform, (8,))
    flop_counter.register_flop_formula(torch.ops.aten._fft_r2c)(lambda *sizes, out_shape, **_: 48)
    assert count_madds(transform, (8,)) == 24 + 10


def test_an_operator_of_a_user_needs_a_price():
    with torch.library._scoped_library("stnas_test", "DEF") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x + x, "CompositeExplicitAutograd")
        torch.library.register_fake("stnas_test::twice", torch.empty_like, lib=library)
        module = Calls(lambda own, x: torch.ops.stnas_test.twice(x))
        with pytest.raises(ValueError, match=r"got torch.ops.stnas_test.twice in the layer ''"):
            count_madds(module, (4,))


WITHOUT_PRODUCTS = """_adaptive_avg_pool2d _embedding_bag _log_softmax _upsample_bilinear2d_aa
 _thnn_fused_lstm_cell _weight_norm_interface addr conj convert cumsum detach dist elu fft_fftfreq
 gelu grid_sampler_2d im2col leaky_relu lgamma linalg_cross linalg_vector_norm native_batch_norm
 native_layer_norm prelu relu silu softplus upsample_bilinear2d upsample_linear1d
 upsample_trilinear3d"""

WITH_PRODUCTS = """_cudnn_rnn _foreach_mm _grouped_mm _int_mm _native_multi_head_attention
 _scaled_grouped_mm _sparse_semi_structured_linear _spsolve _transformer_encoder_layer_fwd
 _weight_int8pack_mm cholesky_solve cudnn_convolution_relu geqrf linalg_matrix_exp lu_unpack
 miopen_depthwise_convolution mkldnn_linear ormqr quantized_lstm slow_conv_transpose3d sspaddmm
 triangular_solve _dyn_quant_matmul_4bit _triton_scaled_dot_attention"""


@pytest.mark.parametrize(
    ("names", "multiplies"), [(WITHOUT_PRODUCTS, False), (WITH_PRODUCTS, True)], ids=["free", "not"]
)
def test_names_tell_which_operators_multiply(names, multiplies):
    found = {name: madds_formulas.multiplies(name) for name in names.split()}
    assert found == dict.fromkeys(found, multiplies)


def test_every_operator_with_a_formula_has_a_name_that_tells_so():
    packets = [*madds_formulas.FORMULAS, *flop_counter.flop_registry]
    named = [getattr(packet, "_qualified_op_name", "") for packet in packets]
    aten = [name.removeprefix("aten::") for name in named if name.startswith("aten::")]
    assert aten
    forward = [name for name in aten if "backward" not in name]
    assert all(madds_formulas.multiplies(name) for name in forward)

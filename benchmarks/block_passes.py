"""The passes of the CUDA choice block, of BN with its activation, of a node's moments as launches.

A pass lists its launches in their order, without those whose work is a few numbers a channel.
"""

from block_launches import Block, Launch, parts, up
from block_shapes import Case


def expansion(b: Block) -> Launch:
    """Return the launch that stores the expanded tensor."""
    return b.product("expands x to e", b.x, b.e, (b.pixels, b.hidden, b.case.c_in))


def convolution(b: Block, *, itself: bool) -> Launch:
    """Return the launch of the convolution, which reads e or makes e of x by itself.

    Itself, it makes 16 pixels and 32 hidden channels at a time, of 16 terms or, with tensor cores,
    of 32.
    """
    case, does, read, products = b.case, "convolves a(BN e) to d", b.e, 0
    work = 5 * b.window(b.side, case.stride)
    work += 2 * case.kernel**2 * b.covered(b.side, case.stride)
    if itself:
        does, read = "convolves a(BN W x) to d", b.x
        pixels = b.tiles(b.side, case.stride)[2] * up(b.window_pixels(case.stride), 16)
        products = 2 * pixels * up(b.padded, 32) * up(case.c_in, 32 if b.half else 16)
    source = f"{'Expanded' if itself else 'Activated'}<{b.s}>"
    stride = 1 if case.stride == 1 else 0
    name = f"depthwise_kernel<{case.kernel}, {stride}, {b.n}, false, float, {source}"
    return Launch(name, does, read, b.d, work, products)


def inference(case: Case, dtype: str) -> list[Launch]:
    """List the launches with running statistics."""
    b = Block(case, dtype)
    weights = 4 * b.hidden * (2 * b.squeeze + 1)
    return [
        *([] if b.expands_itself else [expansion(b)]),
        convolution(b, itself=b.expands_itself),
        b.columns("1 Pooling<(S)>", "pools a(BN d)", b.d, (b.out_pixels, b.padded), 6, case.batch),
        Launch(
            "squeeze_kernel<float>", "makes the gates", case.batch * b.padded * 4 + weights,
            case.batch * b.excitation * 4, 4 * case.batch * b.hidden * b.squeeze,
        ),
        b.product("projects g a(BN d) to y", b.d, b.y, (b.out_pixels, case.c_out, b.padded), 6),
        Launch(
            f"rows_kernel<{b.n}, NodeSum<{b.s}>", "BN of y, and adds x", b.y + b.through, b.y,
            4 * b.out_pixels * case.c_out,
        ),
    ]  # fmt: skip


def moments(case: Case, dtype: str) -> list[Launch]:
    """List the launches that find mean and covariance of an input."""
    b, c = Block(case, dtype), case.c_in
    first = b.statistics("mean of x", b.x, b.pixels, c)
    product, last = Block(case, "float32").correlate(
        "covariance of x", b.x, (c, c, b.pixels), (1, 1)
    )
    return [first, product, last]


def forward(case: Case, dtype: str) -> list[Launch]:
    """List the launches of training, with the statistics of the batch."""
    b = Block(case, dtype)
    pool, squeeze, project, node = inference(case, dtype)[-4:]
    itself = b.expands_itself and not b.stores_expanded
    expand = [] if itself else [expansion(b)]
    if b.stores_expanded:
        statistics = [b.statistics("statistics of e", b.e, b.pixels, b.padded)]
    else:
        statistics = moments(case, dtype)
    depthwise = convolution(b, itself=itself)
    of_d = b.statistics("statistics of d", b.d, b.out_pixels, b.padded)
    of_y = b.statistics("statistics of y", b.y, b.out_pixels, case.c_out)
    return [*expand, *statistics, depthwise, of_d, pool, squeeze, project, of_y, node]


def convolution_gradients(b: Block) -> list[Launch]:
    """List the launches for the gradients of the depthwise convolution."""
    case, k = b.case, b.case.kernel
    staged = b.window(b.side, case.stride) + b.covered(b.side, case.stride)
    taps = 2 * k**2 * b.covered(b.side, case.stride)
    tiles = b.tiles(b.side, case.stride)[2]
    sums = 4 * -(-tiles // -(-tiles // 128)) * k**2 * b.padded
    count = b.tiles(case.resolution, 1)[2]
    of_tiles = 8 * count * b.padded
    name, part = "spread_kernel", f"{k}, {b.n}, float, HiddenGradient<{b.s}>"
    spread = b.covered(case.resolution, 1) * 2 * -(-(k**2) // case.stride**2)
    if case.stride == 1:
        name, part = "depthwise_kernel", f"{k}, 1, {b.n}, true, float, HiddenGradient<{b.s}>"
        spread = b.covered(case.resolution, 1) * 2 * k**2 + 13 * b.window(case.resolution, 1)
    return [
        Launch(
            f"tap_gradient_kernel<{k}, {b.n}, float, Activated<{b.s}>, HiddenGradient<{b.s}> >",
            "gradient of the taps", b.e + 2 * b.d, sums, 13 * staged + taps,
        ),
        Launch("add_parts_kernel<float>", "adds up its parts", sums, 4 * k**2 * b.hidden),
        Launch(
            f"{name}<{part}, SlopedPlanes<{b.s}> >", "gradient dz before a(BN e), its sums",
            2 * b.d + b.e, b.e + of_tiles, spread + 10 * b.pixels * b.padded,
        ),
        Launch(
            "column_sums_kernel<1, 4, Plain<float> >", "adds up sums for BN of e",
            of_tiles, 8 * parts(count, 64, 256) * b.padded, of_tiles // 4,
        ),
    ]  # fmt: skip


def backward(case: Case, dtype: str) -> list[Launch]:
    """List the launches of the gradient."""
    b, g = Block(case, dtype), Block(case, dtype).y
    rows, out = b.out_pixels, case.c_out
    squeezed = Launch(
        "squeeze_gradient_kernel<float>", "back through SE",
        4 * case.batch * (b.padded + b.excitation) + 8 * b.hidden * b.squeeze,
        4 * case.batch * b.excitation, 4 * case.batch * b.hidden * b.squeeze,
    )  # fmt: skip
    expand = [] if b.stores_expanded else [expansion(b)]
    return [
        b.norm_sums("sums for BN of y", g + b.y, rows, out),
        b.product("gradient du of g a(BN d)", g + b.y, b.d, (rows, b.hidden, out), 5),
        *b.correlate("gradient of project", g + b.y + b.d, (out, b.hidden, rows), (5, 6)),
        b.columns(
            "5 GateSums<(S)>", "sums for SE and BN of d", 2 * b.d, (rows, b.padded), 16,
            5 * case.batch,
        ),
        squeezed,
        *expand,
        *convolution_gradients(b),
        b.product(
            "gradient of x", 2 * b.e + b.through, b.x, (b.pixels, case.c_in, b.padded), 5
        ),
        *b.correlate(
            "gradient of expand", 2 * b.e + b.x, (b.hidden, case.c_in, b.pixels), (5, 0)
        ),
    ]  # fmt: skip


def norm_act(rows: int, channels: int, *, gradient: bool) -> list[Launch]:
    """List the launches of BN and activation of float32 rows, or of their gradient."""
    bytes_, values = 4 * rows * channels, rows * channels
    sums = 8 * parts(rows, 64, 256) * up(channels, 4 if not gradient else 16)
    count = 2 if gradient else 1
    work, after = ("NormSums<float, true>", "Gradient") if gradient else ("Deviations<float>", "")
    name = f"column_sums_kernel<2, 4, {work} >"
    last = f"rows_kernel<4, NormActivated{after}<float> >"
    return [
        Launch(name, "sums", count * bytes_, sums, (9 if gradient else 4) * values),
        Launch(last, "values", count * bytes_, bytes_, (10 if gradient else 5) * values),
    ]


def fused(case: Case, dtype: str) -> dict[str, int]:
    """Return the bytes that passes would move which keep the expanded tensor on the chip.

    Inference in two kernels with SE between them: x to d, pooled on the way; d to the output.
    Forward in five: moments of x; x to d with its statistics; pooling; d to y with its statistics;
    y to the output. Backward in four, each of which makes anew what it needs of e and of the
    gradient of d: sums of the last BN; sums for SE, and the gradient of project; sums of the expand
    BN, and the gradient of the taps; the gradients of x and of expand.
    """
    b = Block(case, dtype)
    back = (2 * b.y) + (2 * b.y + b.d) + (2 * b.y + b.d + b.x) + (2 * b.y + b.d + 2 * b.x)
    return {
        "inference": (b.x + b.d) + (b.d + b.y + b.through),
        "forward": b.x + (b.x + b.d) + b.d + (b.d + b.y) + (b.y + b.y + b.through),
        "backward": back + b.through,
    }

"""Launches of the kernels of the CUDA choice block: what each reads, writes and computes.

Operations are float32 additions, multiplications and choices with relu6, as many as are carried
out: whole tiles of 64 sums, and borders of a tile that its neighbours make, too.
"""

from dataclasses import dataclass

from block_shapes import Case

from stnas._core import stores_expanded

WIDTHS = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True)
class Launch:
    """One kernel, named as the compiler's report does as far as rules.json looks, and its work.

    products: operations of matrix products, which tensor cores make of bfloat16.
    """

    kernel: str
    does: str
    read: int
    written: int
    operations: int = 0
    products: int = 0

    @property
    def moved(self) -> int:
        """Return the bytes that must move."""
        return self.read + self.written


def up(value: int, unit: int) -> int:
    """Round up to a multiple of a unit."""
    return -(-value // unit) * unit


def parts(depth: int, least: int, most: int) -> int:
    """Return into how many parts a sum of so many terms is cut (csrc/device/product.cuh)."""
    return -(-depth // up(max(-(-depth // most), least), 32))


class Block:
    """A shape with images of a type: sizes, bytes of its tensors, launches.

    x: the input; e: the expanded tensor; d: the depthwise output; y: the projected one, as large
    as the output.
    """

    def __init__(self, case: Case, dtype: str) -> None:
        self.case, self.half = case, dtype == "bfloat16"
        self.width = WIDTHS[dtype]
        self.s, self.n = ("BFloat16" if self.half else "float"), 16 // self.width
        self.hidden = case.c_in * case.expand
        self.padded, self.squeeze = up(self.hidden, 16), max(1, case.c_in // 4)
        self.excitation = 2 * self.padded + up(self.squeeze, 16)
        self.side = -(-case.resolution // case.stride)
        self.pixels = case.batch * case.resolution**2
        self.out_pixels = case.batch * self.side**2
        self.x = self.pixels * case.c_in * self.width
        self.e = self.pixels * self.padded * self.width
        self.d = self.out_pixels * self.padded * self.width
        self.y = self.out_pixels * case.c_out * self.width
        self.stores_expanded = stores_expanded(case.c_in, self.hidden)
        # csrc/bottleneck/cuda/expanded.cuh
        self.expands_itself = case.c_in <= (64 if self.half else 16)
        self.expands_itself &= self.half or case.kernel <= 2 * case.stride + 1
        self.through = self.x if case.stride == 1 and case.c_in == case.c_out else 0

    def columns(
        self, work: str, does: str, read: int, sizes: tuple[int, int], own: int, sums: int
    ) -> Launch:
        """Add up the columns of [rows, columns]: ``own`` operations a value, rows of ``sums``."""
        name = f"column_sums_kernel<{work[0]}, {self.n}, {work[2:].replace('(S)', self.s)} >"
        return Launch(name, does, read, sums * sizes[1] * 4, own * sizes[0] * sizes[1])

    def statistics(self, does: str, read: int, rows: int, columns: int) -> Launch:
        """Add up a tensor and its squares."""
        count = 2 * parts(rows, 64, 256)
        return self.columns("2 Deviations<(S)>", does, read, (rows, columns), 4, count)

    def norm_sums(self, does: str, read: int, rows: int, columns: int) -> Launch:
        """Add up what the gradient of a BN without an activation needs."""
        count = 2 * parts(rows, 64, 256)
        return self.columns("2 NormSums<(S), false>", does, read, (rows, columns), 4, count)

    def product(
        self, does: str, read: int, written: int, sizes: tuple[int, int, int], own: int = 0
    ) -> Launch:
        """Multiply [rows, depth] by [depth, columns]: ``own`` operations a value that is read."""
        rows, columns, depth = sizes
        tiles = -(-columns // 64)
        name = f"product_kernel<{'TensorCores, 8' if self.half else 'MultiplyAdd<float>, 4'}, false"
        work = 2 * up(rows, 64) * up(columns, 64) * up(depth, 32 if self.half else 16)
        return Launch(name, does, read, written, own * rows * depth * tiles, work)

    def correlate(
        self, does: str, read: int, sizes: tuple[int, int, int], own: tuple[int, int]
    ) -> list[Launch]:
        """Multiply [pixels, rows]' by [pixels, columns], in parts, and add the parts up."""
        rows, columns, depth = sizes
        bytes_ = 4 * parts(depth, 256, 128) * rows * up(columns, 4)
        again = own[0] * rows * -(-columns // 64) + own[1] * columns * -(-rows // 64)
        math = "TensorCores, 8" if self.half else "MultiplyAdd<float>, 4"
        work = 2 * up(rows, 64) * up(columns, 64) * depth
        last = Launch("add_parts_kernel<float>", "adds up its parts", bytes_, 4 * rows * columns)
        name = f"product_kernel<{math}, true, true"
        return [Launch(name, does, read, bytes_, again * depth, work), last]

    def tiles(self, side: int, stride: int) -> tuple[int, int, int]:
        """Return rows and columns of a tile and the number of tiles, as depthwise.cuh cuts."""
        rows, columns = (8 if stride == 1 else 4), (4 if stride == 4 else 8)
        return rows, columns, self.case.batch * -(-side // rows) * -(-side // columns)

    def window(self, side: int, stride: int) -> int:
        """Return how many values are staged for all tiles of a plane, borders twice."""
        return self.tiles(side, stride)[2] * self.window_pixels(stride) * self.padded

    def window_pixels(self, stride: int) -> int:
        """Return the pixels of a tile's input."""
        rows, columns, _ = self.tiles(self.side, stride)
        return ((rows - 1) * stride + self.case.kernel) * (
            (columns - 1) * stride + self.case.kernel
        )

    def covered(self, side: int, stride: int) -> int:
        """Return how many values the tiles of a plane hold."""
        rows, columns, count = self.tiles(side, stride)
        return count * rows * columns * self.padded

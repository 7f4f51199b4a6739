"""Genotypes: their checks, their text form and their description."""

import re
import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnas.space.graph import Edge, Node

Genotype = NDArray[np.int8]
"""One architecture ``[genes]``: for each gene the number of its choice."""
Genotypes = NDArray[np.int8]
"""Architectures ``[n, genes]``, or one row where a function says so."""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
CHECKSUM_DIGITS = 7
_LETTERS = bytes.maketrans(bytes(range(len(DIGITS))), DIGITS.encode())
_TEXT = re.compile(r"st(\d+)-([0-9a-f]{8})-([0-9a-z]*)-([0-9a-z]{7})", re.ASCII)


def choice_counts(edges: tuple[Edge, ...]) -> NDArray[np.int16]:
    """Return how many choices each gene has ``[genes]``."""
    return np.array([len(edge.choices) for edge in edges], np.int16)


def check_genotypes(
    genotypes: ArrayLike, edges: tuple[Edge, ...], counts: NDArray[np.int16]
) -> Genotypes:
    """Return ``genotypes`` as C-contiguous int8 ``[n, genes]``.

    Takes any integer array of that shape. counts: ``choice_counts(edges)``. Raises TypeError for
    another dtype, ValueError for another shape or a gene outside its range, naming row, gene and
    edge.
    """
    array = np.asarray(genotypes)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"genotypes must hold integers, got dtype {array.dtype}: convert them to int8"
        )
    if array.ndim != 2 or array.shape[1] != len(edges):
        raise ValueError(
            f"genotypes must have shape [n, {len(edges)}], got {list(array.shape)}: pass one row"
            " per architecture and one column per gene (a single one as genotype[None])"
        )
    wrong = (array < 0) | (array >= counts)
    if wrong.any():
        row, gene = (int(index) for index in np.argwhere(wrong)[0])
        raise ValueError(
            f"genotypes[{row}, {gene}] (edge {edges[gene].name}) must lie in"
            f" [0, {counts[gene] - 1}], got {array[row, gene]}: choose one of"
            f" {', '.join(f'{i} {op.name}' for i, op in enumerate(edges[gene].choices))}"
        )
    return np.ascontiguousarray(array, np.int8)


def gene_digits(genotype: Genotypes) -> str:
    """Write one base-36 digit a gene."""
    return genotype.tobytes().translate(_LETTERS).decode()


def format_genotype(genotype: Genotypes, fingerprint: str) -> str:
    """Write ``st1-<fingerprint>-<one base-36 digit a gene>-<CRC-32 of the rest in base 36>``."""
    body = f"st1-{fingerprint}-{gene_digits(genotype)}"
    return f"{body}-{_checksum(body)}"


def parse_genotype(text: str, edges: tuple[Edge, ...], fingerprint: str) -> Genotypes:
    """Read what ``format_genotype`` wrote, as int8 ``[genes]``.

    Raises ValueError for text of another form, version or space, or with a character changed: a
    CRC-32 finds every single changed character and every swap of neighbours.
    """
    if not isinstance(text, str):
        raise TypeError(f"genotype must be text, got {text!r}: pass what format wrote")
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"genotype must read st1-<fingerprint>-<genes>-<checksum>, got {text!r}: copy the"
            " whole text"
        )
    version, space, digits, checksum = match.groups()
    if version != "1":
        raise ValueError(
            f"genotype must have version st1, got st{version} in {text!r}: read it with the"
            " release that wrote it"
        )
    if checksum != _checksum(text[: -CHECKSUM_DIGITS - 1]):
        raise ValueError(
            f"genotype must agree with its checksum, got {text!r}: a character was changed; copy"
            " it again"
        )
    if space != fingerprint:
        raise ValueError(
            f"genotype must belong to this space ({fingerprint}), got one of the space {space}:"
            " use the space section that it was written with"
        )
    row = np.array([DIGITS.index(digit) for digit in digits], np.int8)
    genotypes = check_genotypes(row[None], edges, choice_counts(edges))
    return genotypes.reshape(-1)


def describe_genotype(
    genotype: Genotypes, nodes: tuple[Node, ...], edges: tuple[Edge, ...]
) -> list[str]:
    """Return one line per edge that is present: ``v1 -> v2 stem k3e6``."""
    chosen = [(edge, edge.choices[gene]) for edge, gene in zip(edges, genotype, strict=True)]
    return [
        f"{nodes[edge.source].name} -> {nodes[edge.target].name} {edge.kind} {operation.name}"
        for edge, operation in chosen
        if operation.kind != "none"
    ]


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_DIGITS):
        value, digit = divmod(value, 36)
        digits = DIGITS[digit] + digits
    return digits

"""Genotypes: their checks and their text form."""

import re
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnas.space.graph import Gene

Genotype = NDArray[np.int8]
"""One architecture ``[genes]``: for each gene the number of its choice."""
Genotypes = NDArray[np.int8]
"""Architectures ``[n, genes]``, or one row where a function says so."""
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
CHECKSUM_DIGITS = 7
_LETTERS = bytes.maketrans(bytes(range(len(DIGITS))), DIGITS.encode())
VERSION = 1
TEXT = re.compile(r"([a-z]{2})(\d+)-([0-9a-f]{8})-([0-9a-z]*)-([0-9a-z]{7})", re.ASCII)


def choice_counts(genes: Sequence[Gene]) -> NDArray[np.int16]:
    """Return how many choices each gene has ``[genes]``."""
    return np.array([len(gene.choices) for gene in genes], np.int16)


def check_genotypes(
    genotypes: ArrayLike, genes: Sequence[Gene], counts: NDArray[np.int16]
) -> Genotypes:
    """Return ``genotypes`` as C-contiguous int8 ``[n, genes]``.

    Takes any integer array of that shape. counts: ``choice_counts(genes)``. Raises TypeError for
    another dtype, ValueError for another shape or a gene outside its range, naming row and gene.
    """
    array = np.asarray(genotypes)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"genotypes must hold integers, got dtype {array.dtype}: convert them to int8"
        )
    if array.ndim != 2 or array.shape[1] != len(genes):
        raise ValueError(
            f"genotypes must have shape [n, {len(genes)}], got {list(array.shape)}: pass one row"
            " per architecture and one column per gene (a single one as genotype[None])"
        )
    wrong = (array < 0) | (array >= counts)
    if wrong.any():
        row, place = (int(index) for index in np.argwhere(wrong)[0])
        gene = genes[place]
        raise ValueError(
            f"genotypes[{row}, {place}] ({gene.name}) must lie in [0, {counts[place] - 1}],"
            f" got {array[row, place]}: choose one of"
            f" {', '.join(f'{i} {name}' for i, name in enumerate(gene.choices))}"
        )
    return np.ascontiguousarray(array, np.int8)


TUPLE = re.compile(r"\s*[(\[]\s*(\d{1,4}(\s*,\s*\d{1,4})*)\s*,?\s*[)\]]\s*", re.ASCII)


def parse_tuple(text: str, genes: Sequence[Gene]) -> Genotype | None:
    """Read ``(2, 1, 0, ...)``, the number of a choice for each gene; None for any other text."""
    match = TUPLE.fullmatch(text)
    if match is None:
        return None
    numbers = [int(word) for word in match[1].split(",")]
    if len(numbers) != len(genes):
        raise ValueError(
            f"genotype must have {len(genes)} numbers, one a gene, got {len(numbers)}: copy all of"
            " them, or name the space that they are of"
        )
    return check_genotypes([numbers], genes, choice_counts(genes)).reshape(-1)


def gene_digits(genotype: Genotypes) -> str:
    """Write one base-36 digit a gene."""
    return genotype.tobytes().translate(_LETTERS).decode()


def format_genotype(genotype: Genotypes, fingerprint: str, *, prefix: str) -> str:
    """Write ``st1-<fingerprint>-<one base-36 digit a gene>-<CRC-32 of the rest in base 36>``.

    prefix: the two letters that stand before the version.
    """
    body = f"{prefix}{VERSION}-{fingerprint}-{gene_digits(genotype)}"
    return f"{body}-{_checksum(body)}"


def parse_genotype(text: str, genes: Sequence[Gene], fingerprint: str, *, prefix: str) -> Genotype:
    """Read what ``format_genotype`` wrote, or a tuple of numbers, as int8 ``[genes]``.

    Raises ValueError for text of another form, version or space, or with a character changed: a
    CRC-32 finds every single changed character and every swap of neighbours.
    """
    if not isinstance(text, str):
        raise TypeError(f"genotype must be text, got {text!r}: pass what format wrote")
    if (numbers := parse_tuple(text, genes)) is not None:
        return numbers
    match = TEXT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"genotype must read {prefix}{VERSION}-<fingerprint>-<genes>-<checksum>, got {text!r}:"
            " copy the whole text"
        )
    letters, version, space, digits, checksum = match.groups()
    if version != str(VERSION):
        raise ValueError(
            f"genotype must have version {prefix}{VERSION}, got {letters}{version} in {text!r}:"
            " read it with the release that wrote it"
        )
    if checksum != _checksum(text[: -CHECKSUM_DIGITS - 1]):
        raise ValueError(
            f"genotype must agree with its checksum, got {text!r}: a character was changed; copy"
            " it again"
        )
    if (letters, space) != (prefix, fingerprint):
        raise ValueError(
            f"genotype must belong to this space ({prefix}1-{fingerprint}), got one of the space"
            f" {letters}1-{space}: use the space section that it was written with"
        )
    return parse_digits(digits, genes)


def parse_digits(digits: str, genes: Sequence[Gene]) -> Genotype:
    """Read one base-36 digit a gene as int8 ``[genes]``."""
    unknown = sorted(set(digits) - set(DIGITS))
    if unknown:
        raise ValueError(
            f"genes must be digits of {DIGITS[0]} to {DIGITS[-1]}, got {unknown[0]!r} in"
            f" {digits!r}: write one digit a gene"
        )
    row = np.array([DIGITS.index(digit) for digit in digits], np.int8)
    return check_genotypes(row[None], genes, choice_counts(genes)).reshape(-1)


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_DIGITS):
        value, digit = divmod(value, 36)
        digits = DIGITS[digit] + digits
    return digits

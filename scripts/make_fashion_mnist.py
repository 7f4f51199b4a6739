"""Make the embedded subset of Fashion-MNIST from the files of Debian's dataset-fashion-mnist.

Usage: python scripts/make_fashion_mnist.py /usr/share/datasets/fashion-mnist

Takes the first 1,200 training and the first 300 test images of each class, in the order of the
files, and writes four IDX files (.xz) and SOURCE.json with the SHA-256 of what was read and written
to stnas/data/embedded. The same input gives the same pixels on every machine.
"""

import argparse
import hashlib
import json
import lzma
from pathlib import Path

import numpy as np

from stnas.data.idx import read_idx

TARGET = Path(__file__).parents[1] / "stnas" / "data" / "embedded"
PER_CLASS = {"train": 1200, "t10k": 300}
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 2**24}]


def write(name: str, array: np.ndarray) -> dict[str, str]:
    """Write uint8 ``array`` as an IDX file in xz; return the sums of file and content."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    content = header + array.tobytes()
    packed = lzma.compress(content, check=lzma.CHECK_CRC64, filters=FILTERS)
    (TARGET / f"{name}.xz").write_bytes(packed)
    return {"sha256": digest(packed), "content_sha256": digest(content)}


def digest(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def main() -> None:
    """Read the folder that the command line names and write the subset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the four .gz files")
    folder = parser.parse_args().folder
    TARGET.mkdir(parents=True, exist_ok=True)
    inputs, outputs = {}, {}
    for part, count in PER_CLASS.items():
        names = (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte")
        paths = [folder / f"{name}.gz" for name in names]
        inputs |= {path.name: {"sha256": digest(path.read_bytes())} for path in paths}
        images, labels = read_idx(paths[0], rank=3), read_idx(paths[1], rank=1)
        rows = np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in range(10)]))
        for name, array in zip(names, (images[rows], labels[rows]), strict=True):
            outputs[f"{name}.xz"] = write(name, array)
    record = {"version": 1, "per_class": PER_CLASS, "inputs": inputs, "outputs": outputs}
    (TARGET / "SOURCE.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Hold the counts of NAS-Bench-Macro's networks against the columns of the published table.

    python benchmarks/macro_counts.py nas-bench-macro_cifar10.json

The table (Su et al. 2021, github.com/xiusu/NAS-Bench-Macro) has an object for each of the 6,561
networks, with ``params`` and ``flops``. Prints how many agree, and the first that do not.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from stnas.space import SearchSpace


def main() -> None:
    """Compare both columns."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", type=Path)
    table = json.loads(parser.parse_args().table.read_text())
    space = SearchSpace.profile("nas_bench_macro")
    rows = np.stack([space.parse_digits(key) for key in table])
    for name, counts in (("flops", space.madds(rows)), ("params", space.params(rows))):
        differ = [key for key, own in zip(table, counts, strict=True) if table[key][name] != own]
        print(f"{name}: {len(table) - len(differ):,} of {len(table):,} equal {differ[:5] or ''}")


if __name__ == "__main__":
    main()

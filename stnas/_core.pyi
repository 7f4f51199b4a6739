import numpy as np
from numpy.typing import NDArray

def count_madds(
    genotypes: NDArray[np.int8], table: NDArray[np.int64]
) -> NDArray[np.int64]: ...

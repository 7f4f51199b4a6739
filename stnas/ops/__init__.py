"""The package's operators: compiled, checked, each with a plain twin that is its oracle."""

from stnas.ops.conv_norm_act import conv_norm_act
from stnas.ops.convolution import convolution
from stnas.ops.counting import count_madds
from stnas.ops.linear_bottleneck import linear_bottleneck
from stnas.ops.norm_act import norm_act
from stnas.ops.pareto import crowding_distance, hypervolume, nondominated_sort
from stnas.ops.pool import pool
from stnas.ops.sgld import sgld_step_

__all__ = [
    "conv_norm_act",
    "convolution",
    "count_madds",
    "crowding_distance",
    "hypervolume",
    "linear_bottleneck",
    "nondominated_sort",
    "norm_act",
    "pool",
    "sgld_step_",
]

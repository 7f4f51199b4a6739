"""The package's operators: compiled, checked, each with a plain twin that is its oracle."""

from stnas.ops.bottleneck.block import linear_bottleneck
from stnas.ops.counting import count_madds
from stnas.ops.layers.conv_norm_act import conv_norm_act
from stnas.ops.layers.convolution import convolution
from stnas.ops.layers.norm_act import norm_act
from stnas.ops.layers.pool import pool
from stnas.ops.mixture.cell import mixed_cell
from stnas.ops.mixture.halving import halving_block
from stnas.ops.mixture.merge import merged_kernels
from stnas.ops.mixture.pools import pooled_norms
from stnas.ops.pareto import crowding_distance, hypervolume, nondominated_sort
from stnas.ops.separable.half import relu_dw_pw_bn
from stnas.ops.separable.mixed_kernel import mixed_kernel
from stnas.ops.sgld import sgld_step_
from stnas.ops.shuffle.block import shuffle_block

__all__ = [
    "conv_norm_act",
    "convolution",
    "count_madds",
    "crowding_distance",
    "halving_block",
    "hypervolume",
    "linear_bottleneck",
    "merged_kernels",
    "mixed_cell",
    "mixed_kernel",
    "nondominated_sort",
    "norm_act",
    "pool",
    "pooled_norms",
    "relu_dw_pw_bn",
    "sgld_step_",
    "shuffle_block",
]

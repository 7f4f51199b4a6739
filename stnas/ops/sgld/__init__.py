"""Stochastic gradient Langevin descent: its step, and the noise of it."""

from stnas.ops.sgld.slices import sgld_step_slices_
from stnas.ops.sgld.step import NoiseMode, noise_scale, sgld_step_, standard_normal

__all__ = ["NoiseMode", "noise_scale", "sgld_step_", "sgld_step_slices_",
           "standard_normal"]  # fmt: skip

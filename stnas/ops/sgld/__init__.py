"""Stochastic gradient Langevin descent: its step, and the noise of it."""

from stnas.ops.sgld.step import NoiseMode, noise_scale, sgld_step_, standard_normal

__all__ = ["NoiseMode", "noise_scale", "sgld_step_", "standard_normal"]

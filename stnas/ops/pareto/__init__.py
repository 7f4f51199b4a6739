"""Fronts of several objectives: sorting, crowding distance, hypervolume."""

from stnas.ops.pareto.fronts import crowding_distance, hypervolume, nondominated_sort

__all__ = ["crowding_distance", "hypervolume", "nondominated_sort"]

"""The step of (Langevin) descent where only slices of some tensors move."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from stnas.ops.sgld.step import NoiseMode, noise_scale, sgld_step_, standard_normal
from stnas.ops.slices import Slice


def sgld_step_slices_(
    params: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    ids: Sequence[int],
    slices: Mapping[int, Slice],
    **options: Any,
) -> None:
    """Step as ``sgld_step_`` does, but move only ``param[slices[id]]`` where there is a slice.

    grads: of the slices, so of their shapes. What lies outside keeps its bytes. An element's noise
    is that of its place in the whole tensor, so it does not depend on the slice; its scale, where
    it is relative, is that of the slice. options: those of ``sgld_step_``.
    """
    triples = list(zip(params, grads, ids, strict=True))
    whole = [own for own in triples if own[2] not in slices]
    step_(whole, options)
    parts = [(p.detach()[slices[i]], g, i, p) for p, g, i in triples if i in slices]
    scales = [_scale(view, options) for view, _, _, _ in parts]
    step_([own[:3] for own in parts], {**options, "mode": "none"})
    with torch.no_grad():
        for (view, _, identity, param), scale in zip(parts, scales, strict=True):
            if scale:
                seed, step = options["seed"], options["step"]
                noise = standard_normal(param.numel(), seed=seed, step=step, tensor=identity)
                own = noise.view(param.shape)[slices[identity]].to(view)
                view.add_(own, alpha=scale)


def step_(triples: Sequence[tuple[Tensor, Tensor, int]], options: Mapping[str, Any]) -> None:
    """Step on (parameter, gradient, id)."""
    params, grads, ids = ([own[place] for own in triples] for place in range(3))
    sgld_step_(params, grads, ids=ids, **options)  # type: ignore[arg-type]


def _scale(view: Tensor, options: Mapping[str, Any]) -> float:
    """Return the deviation of the noise of a tensor."""
    mode: NoiseMode = options["mode"]
    numbers = {name: options[name] for name in ("rho", "steps_per_epoch") if name in options}
    rms = float(view.square().mean().sqrt()) if mode == "relative" else 0.0
    return noise_scale(
        mode,
        lr=options["lr"],
        temperature=options.get("temperature", 1.0),
        num_data=options.get("num_data", 1),
        rms=rms,
        **numbers,
    )

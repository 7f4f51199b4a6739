"""Copies to a device that the host does not wait for."""

from collections.abc import Iterator
from contextlib import AbstractContextManager

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the host on a device; the processor's own is returned as it is.

    By way of pinned memory, which the device reads on its own when it comes to it.
    """
    if device.type in ("cpu", "meta") or tensor.device == device:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def sent_ahead(
    batches: Iterator[tuple[Tensor, Tensor]], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield pairs of tensors on a device, of which the next is copied while one is worked on.

    On a stream of its own, beside the work. Images that a GPU decoded are there already.
    """
    if device.type == "cpu":
        for images, labels in batches:
            yield images.cpu(), labels.cpu()
        return
    module = torch.get_device_module(device)
    beside, before = module.Stream(device), None
    for pair in batches:
        with working_on(module, beside):
            own = (sent(pair[0], device), sent(pair[1], device))
        if before is not None:
            yield before
        now = module.current_stream(device)
        now.wait_stream(beside)
        for tensor in own:
            tensor.record_stream(now)
        before = own
    if before is not None:
        yield before


def working_on(module: object, stream: object) -> AbstractContextManager[object]:
    """Let what is begun inside go to a stream."""
    chosen: AbstractContextManager[object] = module.stream(stream)  # type: ignore[attr-defined]
    return chosen

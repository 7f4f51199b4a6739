"""The named topology augmented search spaces."""

from stnas.space.topology.spec import SpaceSpec

PROFILES: dict[str, SpaceSpec] = {
    "imagenet": SpaceSpec(
        stages=(2, 2, 4, 8, 4),
        widths=(16, 24, 32, 64, 320),
        tail_width=1280,
        stem_stride=2,
        image_size=224,
        num_classes=1000,
    ),
    "parity": SpaceSpec(stages=(2, 2, 4, 8, 4), widths=(16, 24, 32, 64, 96), tail_width=320),
    "small": SpaceSpec(stages=(3, 4, 4), widths=(16, 24, 32), tail_width=128),
    "micro": SpaceSpec(stages=(3, 3, 3), widths=(8, 16, 24), tail_width=64, expands=(1, 2, 4)),
    "nano": SpaceSpec(
        stages=(2, 2, 2),
        widths=(16, 32, 64),
        tail_width=64,
        kernels=(3, 5),
        expands=(1, 3),
        stem_stride=2,
    ),
}
"""imagenet is the paper's graph (20 nodes, section 3.1) with our widths; the others take 32x32."""

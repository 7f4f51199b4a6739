"""MobileNetV2 (Sandler et al. 2018, table 2), an outside reference for counting multiply-adds."""

from torch import Tensor, nn

ROWS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Rows of the table: expansion t, channels c, repeats n, stride s."""


def conv(source: int, target: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Module:
    """Build convolution, BN and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(source, target, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(target),
        nn.ReLU6(),
    )


class Bottleneck(nn.Module):
    """Linear bottleneck of table 1; at expansion 1 the first 1x1 convolution is left out."""

    def __init__(self, source: int, target: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = expansion * source
        self.residual = stride == 1 and source == target
        self.layers = nn.Sequential(
            *([conv(source, hidden, 1)] if expansion > 1 else []),
            conv(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, target, 1, bias=False),
            nn.BatchNorm2d(target),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to ``[N, source, H, W]``."""
        out: Tensor = self.layers(x)
        return x + out if self.residual else out


def mobilenet_v2(num_classes: int = 1000) -> nn.Module:
    """Build the network of width 1.0."""
    layers: list[nn.Module] = [conv(3, 32, 3, stride=2)]
    source = 32
    for expansion, target, repeats, stride in ROWS:
        for index in range(repeats):
            first = stride if index == 0 else 1
            layers.append(Bottleneck(source, target, expansion=expansion, stride=first))
            source = target
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, num_classes)]
    return nn.Sequential(*layers, conv(source, 1280, 1), *tail)

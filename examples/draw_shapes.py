"""Draw a small folder of images: python examples/draw_shapes.py shapes

Six classes of colour pictures of mixed sizes, some with transparent corners, the last class
smaller than the others.
"""

import random
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw

Box = tuple[float, float, float, float]
COUNT, FEW = 150, 60
"""Images of a class, and of the smallest one."""


def polygon(*points: tuple[float, float]) -> Callable[[ImageDraw.ImageDraw, Box, str], None]:
    """Return what draws a polygon whose corners are shares of a box."""

    def draw(canvas: ImageDraw.ImageDraw, box: Box, colour: str) -> None:
        left, top, right, bottom = box
        canvas.polygon(
            [(left + x * (right - left), top + y * (bottom - top)) for x, y in points], colour
        )

    return draw


SHAPES: dict[str, Callable[[ImageDraw.ImageDraw, Box, str], None]] = {
    "circle": lambda canvas, box, colour: canvas.ellipse(box, colour),
    "square": lambda canvas, box, colour: canvas.rectangle(box, colour),
    "triangle": polygon((0.5, 0), (1, 1), (0, 1)),
    "cross": polygon(
        *((0.35, 0), (0.65, 0), (0.65, 0.35), (1, 0.35), (1, 0.65), (0.65, 0.65)),
        *((0.65, 1), (0.35, 1), (0.35, 0.65), (0, 0.65), (0, 0.35), (0.35, 0.35)),
    ),
    "moon": lambda canvas, box, colour: canvas.chord(box, 60, 300, colour),
    "arrow": polygon((0, 0.35), (0.5, 0.35), (0.5, 0), (1, 0.5), (0.5, 1), (0.5, 0.65), (0, 0.65)),
}


def picture(shape: str, draws: random.Random) -> Image.Image:
    """Draw one shape somewhere on a background with speckles, upright or turned a little."""
    side = draws.choice((28, 32, 40, 48))
    image = Image.new("RGBA", (side, side), f"hsl({draws.randrange(360)}, 30%, 80%)")
    canvas = ImageDraw.Draw(image)
    for _ in range(side):
        place = draws.randrange(side), draws.randrange(side)
        canvas.point(place, f"hsl({draws.randrange(360)}, 60%, 50%)")
    size = draws.uniform(0.4, 0.7) * side
    left, top = (draws.uniform(0, side - size) for _ in range(2))
    colour = f"hsl({draws.randrange(360)}, 80%, 40%)"
    SHAPES[shape](canvas, (left, top, left + size, top + size), colour)
    turned = image.rotate(draws.uniform(-25, 25), Image.Resampling.BILINEAR)
    return turned if draws.random() < 0.5 else turned.convert("RGB")


def draw(folder: Path, *, count: int = COUNT, few: int = FEW, seed: int = 0) -> None:
    """Write ``count`` images of every class into ``folder``, ``few`` of the last one."""
    draws = random.Random(seed)
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True, exist_ok=True)
        for number in range(few if shape == list(SHAPES)[-1] else count):
            picture(shape, draws).save(folder / shape / f"{number:03d}.png")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))

"""What an image file shows, upright and opaque; and an image as a page shows it."""

from base64 import b64encode
from io import BytesIO
from typing import Any

from PIL import Image
from torch import Tensor

from stnas.config.data import DataConfig

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How an image is set upright, by the value of its tag (CIPA DC-008, Exif 2.32, tag 0x0112)."""
SIDEWAYS = 5
"""Least value of the tag of images whose height and width change places."""
_TAG = 0x0112


def orientation(image: Image.Image) -> int:
    """Return the value 1 to 8 of an image's orientation tag; 1: upright.

    Its header tells: a tag behind the pixels of a PNG, or one that cannot be read, counts as none.
    """
    try:
        found: Any = Image.Image.getexif(image).get(_TAG)
    except Exception:  # What is no Exif makes its reader raise many kinds, all of which mean: none.
        return 1
    return found if found in _TURNS else 1


def shown_size(image: Image.Image, config: DataConfig) -> tuple[int, int]:
    """Return (width, height) of an image as it is shown."""
    sideways = config.orientation == "apply" and orientation(image) >= SIDEWAYS
    return (image.height, image.width) if sideways else image.size


def shown(image: Image.Image, mode: str, config: DataConfig) -> Image.Image:
    """Return an image in mode ``L`` or ``RGB``: laid upon the background, and set upright.

    ``alpha c + (1 - alpha) background`` where it is transparent.
    """
    turn = _TURNS.get(orientation(image)) if config.orientation == "apply" else None
    if config.background is not None and image.has_transparency_data:
        behind = Image.new("RGBA", image.size, (*config.background, 255))
        plain = Image.alpha_composite(behind, image.convert("RGBA")).convert(mode)
    else:
        plain = image.convert(mode)
    return plain if turn is None else plain.transpose(turn)


def is_transparent(image: Image.Image) -> bool:
    """Tell whether any pixel of an image lets the background through."""
    if not image.has_transparency_data:
        return False
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    return bool(lowest < 255)  # type: ignore[operator]


def picture(pixels: Tensor, *, side: int) -> str:
    """Return an image uint8 ``[C, H, W]`` as the address of a PNG of about ``side`` pixels."""
    array = pixels.permute(1, 2, 0).numpy()
    image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    if image.width <= side:
        times = max(1, side // image.width)
        size = times * image.width, times * image.height
        image = image.resize(size, Image.Resampling.NEAREST)
    else:
        image = image.resize((side, side * image.height // image.width), Image.Resampling.BILINEAR)
    content = BytesIO()
    image.save(content, "PNG")
    return f"data:image/png;base64,{b64encode(content.getvalue()).decode()}"

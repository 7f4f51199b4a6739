"""What image files show: transparency and orientation, alike in memory, by Pillow and by DALI."""

import io
import itertools
import shutil
import struct

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from stnas.config import DataConfig
from stnas.data import batches, evaluation_requests, load, open_streamed, streaming
from stnas.data.showing import is_transparent, orientation, shown

SIZE = 16
WAYS = ("memory", "pillow", "dali")
PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255,) * 3}  # Pixels in [0, 255].


def picture(seed=0, size=(24, 20)):
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC)


def make_folder(root):
    for part, name, i in itertools.product(("train", "test"), ("cat", "dog"), range(3)):
        (root / part / name).mkdir(parents=True, exist_ok=True)
        picture(i).save(root / part / name / f"{i}.png")
    return root


def configure(root, way, **options):
    return DataConfig(path=str(root), backend=way, image_size=SIZE, **options)


def pixels_of(root, way, **options):
    """Return the pixels ``[n, 3, S, S]`` of the test images, whole if they are square."""
    resize = {} if way == "memory" else {"resize": SIZE}
    data = load(configure(root, way, **resize, **options), seed=0)
    if way == "memory":
        return data.test.images.float()
    found = batches(data.test, evaluation_requests(data.test, size=4), **PLAIN)
    return torch.cat([images for images, _ in found])


def clear(mode="RGBA"):
    """Make a picture whose alpha falls from left to right, over colours that alpha hides."""
    image = picture(9, (32, 32)).convert(mode)
    image.putalpha(Image.linear_gradient("L").rotate(90).resize((32, 32)))
    return image


def over(image, background):
    """Compose by the formula ``alpha c + (1 - alpha) background``, float64 ``[H, W, 3]``."""
    pixels = np.asarray(image.convert("RGBA"), np.float64)
    alpha = pixels[:, :, 3:] / 255
    return alpha * pixels[:, :, :3] + (1 - alpha) * np.array(background)


def small(pixels):
    """Scale pixels ``[H, W, 3]`` to ``[3, S, S]``."""
    image = Image.fromarray(pixels.round().astype(np.uint8)).resize(
        (SIZE, SIZE), Image.Resampling.BILINEAR
    )
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (10, 200, 90)])
@pytest.mark.parametrize("kind", ["png", "webp", "grey"])
def test_transparent_pixels_show_the_background(tmp_path, way, background, kind):
    root = make_folder(tmp_path)
    image = clear("LA" if kind == "grey" else "RGBA")
    name = root / "test/cat/0.png"
    image.save(name, format="WEBP" if kind == "webp" else "PNG", lossless=True, exact=True)
    found = pixels_of(root, way, background=background)
    assert (found[0] - small(over(image, background))).abs().max() <= 2
    hidden = small(np.asarray(image.convert("RGB"), np.float64))
    assert (found[0] - hidden).abs().max() > 30
    bare = pixels_of(root, way, background=None)
    assert (bare[0] - hidden).abs().max() <= 2
    assert torch.equal(found[1:], bare[1:])


@pytest.mark.parametrize("way", WAYS)
def test_transparent_palettes_and_colour_keys_show_the_background(tmp_path, way):
    root = make_folder(tmp_path)
    palette = Image.new("P", (16, 16), 1)
    palette.putpalette([9, 9, 9, 200, 30, 40])
    palette.paste(0, (0, 0, 8, 16))
    palette.save(root / "test/cat/0.png", transparency=0)
    key = Image.new("RGB", (16, 16), (1, 2, 3))
    key.paste((7, 8, 9), (8, 0, 16, 16))
    key.save(root / "test/cat/1.png", transparency=(1, 2, 3))
    found = pixels_of(root, way, background=(50, 60, 70))
    for row, colour in ((0, [200, 30, 40]), (1, [7, 8, 9])):
        assert found[row, :, 8, 1].tolist() == [50, 60, 70]
        assert found[row, :, 8, 14].tolist() == colour


@given(st.sampled_from(["L", "RGB", "1", "P", "CMYK"]), st.integers(0, 99))
def test_opaque_images_keep_their_pixels(mode, seed):
    image = picture(seed).convert(mode)
    plain = image.convert("RGB")
    assert not is_transparent(image)
    assert np.array_equal(shown(image, "RGB", DataConfig()), plain)
    opaque = plain.convert("RGBA")
    assert not is_transparent(opaque)
    assert np.array_equal(shown(opaque, "RGB", DataConfig()), plain)
    grey = plain.convert("L").convert("LA")
    assert np.array_equal(shown(grey, "L", DataConfig()), plain.convert("L"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_tags_are_followed_or_not(tmp_path, way, turn, kind):
    root, tag = make_folder(tmp_path), Image.Exif()
    tag[0x0112] = turn
    image, name = picture(4, (32, 20)), root / "test/cat/0.png"
    more = {"lossless": True} if kind == "WEBP" else {"quality": 100}
    image.save(name, format=kind, exif=tag, **more)
    with Image.open(name) as written:
        assert orientation(written) == turn
        upright, lying = ImageOps.exif_transpose(written), written.copy()
    upright.save(root / "test/cat/1.png", exif=Image.Exif())
    Image.fromarray(np.asarray(lying)).save(root / "test/cat/2.png")
    found = pixels_of(root, way)
    assert (found[0] - found[1]).abs().max() <= 2
    found = pixels_of(root, way, orientation="ignore")
    assert (found[0] - found[2]).abs().max() <= 2


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"\xff" * 40])
def test_a_tag_that_cannot_be_read_counts_as_none(exif):
    file = io.BytesIO()
    picture().save(file, "JPEG", exif=exif)
    with Image.open(file) as image:
        assert orientation(image) == 1
    tag = Image.Exif()
    tag[0x0112] = 77
    picture().save(file := io.BytesIO(), "PNG", exif=tag)
    with Image.open(file) as image:
        assert orientation(image) == 1


@pytest.mark.parametrize("way", WAYS)
def test_the_fingerprint_tells_what_the_options_change_and_nothing_else(tmp_path, way):
    root, options = make_folder(tmp_path), {"background": (1, 2, 3), "orientation": "ignore"}
    plain = load(configure(root, way), seed=0).fingerprint
    picture(0).convert("RGBA").save(root / "test/cat/0.png")
    if way == "memory":  # The fingerprint of streamed images is that of the files' content.
        assert load(configure(root, way), seed=0).fingerprint == plain
    opaque = load(configure(root, way), seed=0).fingerprint
    assert load(configure(root, way, **options), seed=0).fingerprint == opaque
    clear().save(root / "test/cat/0.png")
    white = load(configure(root, way), seed=0).fingerprint
    assert load(configure(root, way, background=(1, 2, 3)), seed=0).fingerprint != white
    assert load(configure(root, way, orientation="ignore"), seed=0).fingerprint == white
    tag = Image.Exif()
    tag[0x0112] = 6
    picture(3).save(root / "test/cat/0.png", exif=tag)
    upright = load(configure(root, way), seed=0).fingerprint
    assert load(configure(root, way, orientation="ignore"), seed=0).fingerprint != upright
    assert load(configure(root, way, background=(1, 2, 3)), seed=0).fingerprint == upright


def endless_png():
    """Return a PNG without its last chunk, which Pillow reads and DALI does not."""
    file = io.BytesIO()
    picture(5, (32, 32)).save(file, "PNG")
    return file.getvalue()[:-12]


def bitmap_of_16_bits():
    """Return a BMP of 5 bits a channel, which Pillow reads and DALI does not."""
    pixels = np.asarray(picture(6, (32, 32)), np.uint16)[::-1] >> 3
    data = (pixels[:, :, 0] << 10 | pixels[:, :, 1] << 5 | pixels[:, :, 2]).astype("<u2").tobytes()
    header = struct.pack("<IiiHHIIiiII", 40, 32, 32, 1, 16, 0, len(data), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(data), 0, 0, 54) + header + data


@pytest.mark.parametrize("content", [endless_png(), bitmap_of_16_bits()], ids=["png", "bmp"])
@pytest.mark.dali
def test_what_dali_cannot_decode_is_told_and_decoded_by_pillow(tmp_path, content, monkeypatch):
    root = make_folder(tmp_path)
    (root / "test/dog/1.png").write_bytes(content)
    assert (pixels_of(root, "dali") - pixels_of(root, "pillow")).abs().max() <= 2
    said = []
    data, known = open_streamed(configure(root, "dali"), seed=0, known=None, say=said.append)
    line = "1 images are decoded by Pillow, since DALI cannot (test/dog/1.png is the first)"
    assert line in said
    said.clear()
    monkeypatch.setattr(streaming.reader(data.train.config), "undecodable", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_streamed(configure(root, "dali"), seed=0, known=None, say=said.append)
    monkeypatch.setattr(streaming.reader(data.train.config), "undecodable", lambda x, *_, **__: x)
    open_streamed(configure(root, "dali"), seed=0, known=known, say=said.append)
    assert line in said


@pytest.mark.dali
def test_what_dali_cannot_decode_is_named_with_the_way_out_where_it_was_not_tried(tmp_path):
    root = make_folder(tmp_path)
    (root / "test/dog/1.png").write_bytes(endless_png())
    data = load(configure(root, "pillow"), seed=0)
    dali = load(configure(shutil.copytree(root, tmp_path / "copy"), "dali"), seed=0).test.config
    split = streaming.FileSplit(
        *(getattr(data.test, n) for n in ("files", "sizes", "stamps", "special", "labels")), dali
    )
    with pytest.raises(
        ValueError, match=r"got 1 that it cannot:\n.*test/dog/1.png: Pillow can"
    ) as e:
        list(batches(split, evaluation_requests(split, size=4), **PLAIN))
    assert "delete data/scan.safetensors in the run folder and run the same command" in str(e.value)


@pytest.mark.parametrize("way", ["pillow", "dali"])
def test_special_files_can_be_entered_at_any_batch_and_left_early(tmp_path, way):
    root = make_folder(tmp_path)
    for i in range(3):
        clear().rotate(90 * i).save(root / f"test/cat/{i}.png")
    split = load(configure(root, way), seed=0).test
    whole = list(batches(split, evaluation_requests(split, size=1), **PLAIN))
    begun = batches(split, evaluation_requests(split, size=1), **PLAIN)
    assert torch.equal(next(begun)[0], whole[0][0])
    begun.close()
    again = list(batches(split, evaluation_requests(split, size=1, rank=1, world=2), **PLAIN))
    assert all(torch.equal(a[0], b[0]) for a, b in zip(again, whole[1::2], strict=True))

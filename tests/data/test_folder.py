"""Folders of image files: layout, formats, sizes and broken files."""

import errno
import logging
import os

import numpy as np
import pytest
import torch
from PIL import Image

from stnas.config.data import DataConfig
from stnas.data import load


def draw(path, *, size=(8, 8), mode="RGB", seed=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    number = sum(path.as_posix().encode()) if seed is None else seed
    shape = size[::-1] + ((3,) if mode == "RGB" else ())
    pixels = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def make_folder(root, *, classes=("cat", "dog"), n=6, parts=("train", "test"), mode="RGB", **more):
    for part in parts:
        for name in classes:
            for i in range(n):
                draw(root / part / name / f"{i}.png", mode=mode, **more)
    return root


def load_folder(root, **options):
    return load(DataConfig(path=str(root), **options), seed=0)


def test_train_and_test_folders_are_read(tmp_path):
    data = load_folder(make_folder(tmp_path / "pets"))
    assert (data.name, data.classes, data.image_size, data.in_channels) == (
        "pets",
        ("cat", "dog"),
        8,
        3,
    )
    assert (len(data.train), len(data.validation), len(data.test)) == (10, 2, 12)
    with Image.open(tmp_path / "pets/test/dog/3.png") as image:
        expected = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    assert torch.equal(data.test.images[9], expected)
    assert data.test.labels.tolist() == [0] * 6 + [1] * 6


def test_val_serves_as_test(tmp_path, caplog):
    assert len(load_folder(make_folder(tmp_path, parts=("train", "val"))).test) == 12
    make_folder(tmp_path, parts=("test",), n=3)
    with caplog.at_level(logging.WARNING):
        assert len(load_folder(tmp_path).test) == 6
    assert "val is not used" in caplog.text


@pytest.mark.parametrize("parts", [(".",), ("train",)])
def test_without_a_test_folder_a_fifth_of_each_class_is_the_test_split(tmp_path, parts, caplog):
    make_folder(tmp_path, parts=parts, n=10)
    with caplog.at_level(logging.WARNING):
        data = load_folder(tmp_path, validation=0.25)
    assert "has no test folder: a fixed 20 % of each class (4 images)" in caplog.text
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 4)
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    other = load(DataConfig(path=str(tmp_path), validation=0.25), seed=1)
    assert torch.equal(data.test.images, other.test.images)
    assert not torch.equal(data.validation.images, other.validation.images)


def test_nested_folders_hidden_files_and_other_files(tmp_path, caplog):
    make_folder(tmp_path)
    before = load_folder(tmp_path).fingerprint
    (tmp_path / "train/cat/.hidden.png").write_bytes(b"")
    (tmp_path / "train/.git").mkdir()
    (tmp_path / "train/cat/.cache").mkdir()
    (tmp_path / "train/cat/.cache/x.png").write_bytes(b"")
    (tmp_path / "train/cat/notes.txt").write_text("words")
    with caplog.at_level(logging.WARNING):
        assert load_folder(tmp_path).fingerprint == before
    assert "are passed over: 1 .txt" in caplog.text
    (tmp_path / "train/cat/more").mkdir()
    (tmp_path / "train/cat/5.png").rename(tmp_path / "train/cat/more/5.png")
    assert len(load_folder(tmp_path).train) == 10


@pytest.mark.parametrize("ending", ["png", "JPG", "jpeg", "bmp", "webp", "gif"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_formats_are_decoded(tmp_path, ending, mode):
    make_folder(tmp_path, mode=mode)
    (tmp_path / "test/cat/0.png").unlink()
    pixels = np.full((8, 8), 77, np.uint8) if mode == "L" else np.full((8, 8, 3), 77, np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"test/cat/0.{ending}")
    data = load_folder(tmp_path)
    assert data.in_channels == (1 if mode == "L" and ending not in ("webp", "gif") else 3)
    assert (data.test.images[0].int() - 77).abs().max() <= 2


def test_one_colour_image_makes_all_colour(tmp_path):
    make_folder(tmp_path, mode="L")
    assert load_folder(tmp_path).in_channels == 1
    draw(tmp_path / "test/cat/0.png")
    data = load_folder(tmp_path)
    assert data.in_channels == 3
    assert torch.equal(data.train.images[:, 0], data.train.images[:, 2])


def test_the_first_frame_of_a_gif_counts(tmp_path):
    make_folder(tmp_path, mode="L")
    frames = [Image.fromarray(np.full((8, 8), v, np.uint8)) for v in (10, 200)]
    (tmp_path / "test/cat/0.png").unlink()
    frames[0].save(tmp_path / "test/cat/0.gif", save_all=True, append_images=frames[1:])
    assert (load_folder(tmp_path).test.images[0] == 10).all()


def test_palette_images_become_colour(tmp_path):
    make_folder(tmp_path, mode="L")
    Image.new("P", (8, 8), 0).save(tmp_path / "test/cat/1.png")
    assert load_folder(tmp_path).in_channels == 3


def test_image_size_scales_the_shorter_side_and_cuts_the_centre(tmp_path):
    make_folder(tmp_path, size=(16, 16))
    wide = np.zeros((8, 16), np.uint8)
    wide[:, 4:12] = 255
    Image.fromarray(wide).save(tmp_path / "test/cat/0.png")
    data = load_folder(tmp_path, image_size=8)
    assert data.image_size == 8
    assert (data.test.images[0] == 255).all()
    assert load_folder(tmp_path, image_size=12).train.images.shape[2:] == (12, 12)


def test_mixed_sizes_are_refused_with_two_files(tmp_path):
    make_folder(tmp_path)
    draw(tmp_path / "test/dog/2.png", size=(9, 8))
    with pytest.raises(
        ValueError,
        match=r"got 8x8 in .*\.png and 9x8 in .*2\.png: set "
        r"--data\.image_size 8, or another, which scales all \(up to 8 none is enlarged\)",
    ):
        load_folder(tmp_path)


def test_oblong_images_are_refused(tmp_path):
    make_folder(tmp_path, size=(10, 8))
    with pytest.raises(ValueError, match=r"must be square, got 10x8 .*--data\.image_size 8"):
        load_folder(tmp_path)
    assert load_folder(tmp_path, image_size=8).image_size == 8


def break_files(root):
    whole = (root / "train/cat/1.png").read_bytes()
    (root / "train/cat/0.png").write_bytes(b"")
    (root / "train/cat/1.png").write_bytes(b"this is no image")
    (root / "test/dog/1.png").write_bytes(whole[:20])


def test_broken_files_are_listed_at_once(tmp_path):
    make_folder(tmp_path)
    break_files(tmp_path)
    with pytest.raises(ValueError, match="got 3 broken") as caught:
        load_folder(tmp_path)
    lines = str(caught.value).splitlines()
    assert {line.split(":")[0].strip() for line in lines[1:4]} == {
        "train/cat/0.png",
        "train/cat/1.png",
        "test/dog/1.png",
    }
    assert "0.png: the file is empty" in str(caught.value)
    assert "1.png: not a PNG, JPEG, BMP, WebP or GIF image" in str(caught.value)
    assert lines[-1].startswith("replace or delete these files")


def test_files_broken_behind_the_header_are_found(tmp_path):
    make_folder(tmp_path, size=(64, 64))
    draw(tmp_path / "train/cat/0.jpg", size=(64, 64))
    for name in ("train/cat/0.jpg", "test/dog/5.png"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="got 2 broken") as caught:
        load_folder(tmp_path)
    assert "train/cat/0.jpg: " in str(caught.value)
    assert "test/dog/5.png: " in str(caught.value)


def test_twenty_broken_files_are_shown_and_the_rest_counted(tmp_path):
    make_folder(tmp_path, n=15)
    for i in range(15):
        for name in ("cat", "dog"):
            (tmp_path / "train" / name / f"{i}.png").write_bytes(b"x")
    with pytest.raises(ValueError, match="got 30 broken") as caught:
        load_folder(tmp_path)
    assert str(caught.value).count(".png: ") == 20
    assert "and 10 more" in str(caught.value)


def test_sixteen_bit_and_huge_images_are_broken(tmp_path, monkeypatch):
    make_folder(tmp_path)
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "train/cat/0.png")
    with pytest.raises(ValueError, match=r"cat/0\.png: mode I;16, not 8 bits a channel"):
        load_folder(tmp_path)
    monkeypatch.setattr("stnas.data.decode._MAX_PIXELS", 63)
    with pytest.raises(ValueError, match="8x8 pixels, more than 63"):
        load_folder(tmp_path)


def test_broken_files_in_memory_may_be_left_out(tmp_path, caplog):
    whole = make_folder(tmp_path / "whole", n=8)
    for name in ("train/cat/0.png", "train/cat/1.png", "test/dog/1.png"):
        (whole / name).unlink()
    broken = make_folder(tmp_path / "broken", n=8, seed=0)
    for file in broken.rglob("*.png"):
        if (whole / file.relative_to(broken)).exists():
            file.write_bytes((whole / file.relative_to(broken)).read_bytes())
    break_files(broken)
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(broken / "train/cat/0.png")
    with pytest.raises(ValueError, match=r"or leave them out: --data\.broken skip\)"):
        load_folder(broken)
    with caplog.at_level(logging.WARNING):
        data = load_folder(broken, broken="skip")
    assert caplog.text.count("left out: ") == 3
    assert "cat/0.png: mode I;16, not 8 bits a channel" in caplog.text
    assert data.fingerprint == load_folder(whole).fingerprint


def test_a_class_of_broken_files_alone_is_named(tmp_path):
    for file in (make_folder(tmp_path) / "train/dog").iterdir():
        file.write_bytes(b"x")
    with pytest.raises(ValueError, match="readable training images, got none in dog: replace"):
        load_folder(tmp_path, broken="skip")


def test_only_chosen_files_are_decoded(tmp_path):
    make_folder(tmp_path, n=20)
    data = load_folder(tmp_path, train_limit=8, test_limit=4, validation=0.5)
    assert data.train.labels.tolist() == data.validation.labels.tolist() == [0, 0, 1, 1]
    assert data.test.labels.tolist() == [0, 0, 1, 1]


def test_more_than_the_memory_bound_is_refused(tmp_path, monkeypatch):
    make_folder(tmp_path)
    monkeypatch.setattr("stnas.data.dataset.MAX_BYTES", 24 * 192 - 1)
    with pytest.raises(ValueError, match=r"24 images of 3x8x8 .*data\.image_size .*train_limit"):
        load_folder(tmp_path)
    assert len(load_folder(tmp_path, test_limit=11).test) == 11


def test_empty_class_folders_are_named(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "train/eel").mkdir()
    (tmp_path / "train/ant").mkdir()
    (tmp_path / "train/ant/readme.txt").write_text("no image")
    with pytest.raises(
        ValueError, match=r"every class folder must hold images .*in ant, eel \(1 .txt"
    ):
        load_folder(tmp_path)


NAMES = [
    ("Train", "Test"),
    ("TRAIN", "VAL"),
    ("training_set", "test_set"),
    ("training", "validation"),
    ("train", "valid"),
    ("Train Data", "Test Data"),
    ("train-images", "testing"),
]


@pytest.mark.parametrize(("train", "test"), NAMES)
def test_other_names_of_the_parts_are_understood_and_said(tmp_path, train, test, caplog):
    plain = load_folder(make_folder(tmp_path / "plain"))
    make_folder(tmp_path / "other")
    (tmp_path / "other/train").rename(tmp_path / "other" / train)
    (tmp_path / "other/test").rename(tmp_path / "other" / test)
    with caplog.at_level(logging.WARNING):
        data = load_folder(tmp_path / "other")
    assert (data.classes, len(data.test)) == (plain.classes, len(plain.test))
    assert f"{train} has the training images" in caplog.text
    assert f"{test} the test images" in caplog.text


def test_parts_that_are_folders_of_their_own_name_are_opened(tmp_path):
    make_folder(tmp_path, parts=("training_set/training_set", "test_set/test_set"))
    data = load_folder(tmp_path)
    assert (data.classes, len(data.train), len(data.test)) == (("cat", "dog"), 10, 12)


def test_names_of_parts_that_are_classes_are_taken_for_classes_with_a_word(tmp_path, caplog):
    make_folder(tmp_path / "vehicles", classes=("bus", "car", "train"), parts=(".",))
    with caplog.at_level(logging.WARNING):
        assert load_folder(tmp_path / "vehicles").classes == ("bus", "car", "train")
    assert "train is taken for a class; if it holds images to train on" in caplog.text
    make_folder(tmp_path / "sports", classes=("Racing/a", "Training/a", "test/a"), parts=(".",))
    (tmp_path / "sports/test").rename(tmp_path / "sports/Tests")
    with caplog.at_level(logging.WARNING):
        assert load_folder(tmp_path / "sports").classes == ("Racing", "Tests", "Training")
    assert "Training is taken for a class" in caplog.text


def test_parts_without_class_folders_and_a_folder_too_deep_are_told_what_to_do(tmp_path):
    for part in ("train", "test"):
        draw(tmp_path / "flat" / part / "0.png")
    with pytest.raises(ValueError, match=r"train must hold one folder of images for each class"):
        load_folder(tmp_path / "flat")
    make_folder(tmp_path / "deep/archive")
    with pytest.raises(ValueError, match=r"got 1: set --data.path \S+archive, which has folders"):
        load_folder(tmp_path / "deep")
    assert load_folder(tmp_path / "deep/archive").classes == ("cat", "dog")


def test_folders_beside_the_parts_are_said_not_to_be_used(tmp_path, caplog):
    make_folder(tmp_path, parts=("train", "extra"))
    with caplog.at_level(logging.WARNING):
        assert len(load_folder(tmp_path).train) == 8
    assert "extra is not used" in caplog.text


def test_images_behind_links_to_folders_are_read_and_loops_end(tmp_path, caplog):
    make_folder(tmp_path / "pets")
    make_folder(tmp_path / "more", n=4, seed=5)
    inside = tmp_path / "pets/train"
    (inside / "cat/extra").symlink_to(tmp_path / "more/train/cat")
    (tmp_path / "more/train/cat/loop").symlink_to(tmp_path / "more/train/cat")
    with caplog.at_level(logging.WARNING):
        data = load_folder(tmp_path / "pets", validation=0.1)
    assert len(data.train) + len(data.validation) == 16
    assert f"behind a link to a folder are read: {inside / 'cat/extra'}" in caplog.text
    assert "a link is passed over" in caplog.text


@pytest.mark.parametrize("target", ["train/dog", "train", "test/dog", ".", "..", "train/cat/far"])
def test_a_link_to_what_is_listed_already_adds_nothing(tmp_path, target, caplog):
    root = make_folder(tmp_path / "pets")
    draw(root / "train/cat/far/7.png")
    before = load_folder(root)
    (root / "train/cat/link").symlink_to(root / target)
    with caplog.at_level(logging.WARNING):
        after = load_folder(root)
    assert after.fingerprint == before.fingerprint
    assert "a link is passed over, since it leads to what is read already" in caplog.text


def test_class_folders_may_be_links_and_a_dangling_one_is_no_class(tmp_path):
    make_folder(tmp_path / "store")
    for part in ("train", "test"):
        (tmp_path / "pets" / part).mkdir(parents=True)
        for name in ("cat", "dog"):
            (tmp_path / "pets" / part / name).symlink_to(tmp_path / "store" / part / name)
    (tmp_path / "pets/train/eel").symlink_to(tmp_path / "nowhere")
    assert load_folder(tmp_path / "pets").fingerprint == load_folder(tmp_path / "store").fingerprint


def test_formats_that_are_passed_over_are_counted(tmp_path, caplog):
    make_folder(tmp_path)
    for name in ("cat/a.tif", "cat/b.TIF", "dog/c.heic", "dog/LABEL"):
        (tmp_path / "train" / name).write_bytes(b"x")
    draw(tmp_path / "train/loose.png")
    with caplog.at_level(logging.WARNING):
        load_folder(tmp_path)
    assert "are passed over: 2 .tif, 1 .heic, 1 without one" in caplog.text
    assert "1 images beside the class folders are passed over" in caplog.text
    for file in (tmp_path / "train/cat").glob("*.png"):
        file.unlink()
    with pytest.raises(ValueError, match=r"none in cat \(2 .tif, .* are passed over\): add"):
        load_folder(tmp_path)


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_too_small_for_three_splits_is_named_with_its_count(tmp_path, count):
    make_folder(tmp_path, parts=(".",), classes=("ant", "cow"))
    for i in range(count):
        draw(tmp_path / "bee" / f"{i}.png")
    with pytest.raises(ValueError, match=rf"at least 3 images .* got {count} in bee: add images"):
        load_folder(tmp_path)
    draw(tmp_path / "bee/7.png")
    draw(tmp_path / "bee/8.png")
    assert load_folder(tmp_path).train.labels.bincount().tolist() == [4, count, 4]


def test_a_class_with_one_training_image_is_named(tmp_path):
    make_folder(tmp_path)
    for i in range(5):
        (tmp_path / f"train/dog/{i}.png").unlink()
    with pytest.raises(ValueError, match=r"2 training images .* got 1 in dog: add images or"):
        load_folder(tmp_path)
    with pytest.raises(ValueError, match=r"got 1 in .*: raise data\.train_limit, 5, or leave it"):
        load_folder(make_folder(tmp_path / "all", classes=("a", "b", "c")), train_limit=5)


def test_classes_must_agree_between_train_and_test(tmp_path):
    make_folder(tmp_path)
    draw(tmp_path / "test/eel/0.png")
    with pytest.raises(ValueError, match="the same class folders, got eel in one of them alone"):
        load_folder(tmp_path)


@pytest.mark.parametrize("classes", [(), ("only",)])
def test_fewer_than_two_classes_are_refused(tmp_path, classes):
    make_folder(tmp_path, classes=classes)
    with pytest.raises(ValueError, match=f"at least 2 class folders, got {len(classes)}: put"):
        load_folder(tmp_path)


@pytest.mark.parametrize("broken", ["refuse", "skip"])
@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, os.strerror(errno.EMFILE)), MemoryError("none left")]
)
def test_what_the_machine_lacks_is_not_laid_on_the_files(tmp_path, monkeypatch, broken, error):
    make_folder(tmp_path)
    real = Image.open

    def scarce(file, **options):
        if str(file).endswith("3.png"):
            raise error
        return real(file, **options)

    monkeypatch.setattr(Image, "open", scarce)
    with pytest.raises(type(error), match=str(error.args[-1])):
        load_folder(tmp_path, broken=broken)

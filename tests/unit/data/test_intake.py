"""Looking through a visitor's images, laying out single files, and holding out a part."""

import errno
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from concepthash.data import (
    Inspection,
    IntakeLimits,
    arrange,
    hold_out,
    inspect_images,
    read_image_folder,
    unpack_zip,
)
from concepthash.data.intake_files import portable_name
from concepthash.data.intake_findings import Look, find_problems
from concepthash.errors import DataError


def save(path: Path, seed: int, size: tuple[int, int] = (6, 5)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "PNG")
    return path


def filled(root: Path, counts: Mapping[str, int]) -> Path:
    """One folder a class, of images that all differ."""
    number = 0
    for name, count in counts.items():
        for i in range(count):
            save(root / name / f"{i}.png", number)
            number += 1
    return root


def problem(root: Path, limits: IntakeLimits | None = None) -> str:
    found = inspect_images(root, limits)
    for sentence in found.problems + found.warnings:
        assert sentence.endswith(".") and "\n" not in sentence and str(root) not in sentence
    assert len(found.problems) == 1, found.problems
    return found.problems[0]


def refusal(files: Mapping[str, Sequence[Path]], folder: Path, limits: IntakeLimits | None = None) -> str:
    with pytest.raises(DataError) as refused:
        arrange(files, folder, limits)
    message = str(refused.value)
    assert message.endswith(".") and "\n" not in message and str(folder.parent) not in message
    assert not folder.exists()
    return message


# inspect_images


def test_good_images_are_counted_and_shown_by_class(tmp_path: Path) -> None:
    found = inspect_images(filled(tmp_path, {"Snow_Goose": 5, "Crow": 7}))
    assert found.problems == found.warnings == found.broken == found.duplicates == ()
    crow, goose = found.classes
    assert (crow.name, crow.n_images, crow.n_broken) == ("Crow", 7, 0)
    assert (goose.name, goose.n_images, goose.n_broken) == ("Snow Goose", 5, 0)
    assert [path.name for path in crow.examples] == ["0.png", "1.png", "2.png"] and found.n_images == 12
    assert all(path.is_absolute() and path.parent.name == "Crow" for path in crow.examples)


def test_broken_files_are_named_with_the_reason_and_not_counted(tmp_path: Path) -> None:
    filled(tmp_path, {"Crow": 7, "Jay": 5})
    whole = (tmp_path / "Crow/3.png").read_bytes()
    (tmp_path / "Crow/0.png").write_bytes(b"")
    (tmp_path / "Crow/a.jpg").write_bytes(b"#!/bin/sh\necho I am no image")
    (tmp_path / "Crow/b.jpg").write_bytes(b"PK\x03\x04" + b"\0" * 50)
    (tmp_path / "Crow/c.png").write_bytes(whole[:-40])
    found = inspect_images(tmp_path)
    assert [path.name for path, _ in found.broken] == ["0.png", "a.jpg", "b.jpg", "c.png"]
    reasons = [reason for _, reason in found.broken]
    assert "is empty" in reasons[0] and "is not an image" in reasons[1] and "cut short" in reasons[3]
    crow = found.classes[0]
    assert (crow.n_images, crow.n_broken) == (6, 4) and crow.examples[0].name == "1.png"
    assert found.problems == () and found.warnings == ("4 files cannot be read; mend them, or do without them.",)


def test_an_image_of_too_many_pixels_is_broken(tmp_path: Path) -> None:
    filled(tmp_path, {"Crow": 5, "Jay": 5})
    save(tmp_path / "Jay/large.png", 99, (40, 30))
    found = inspect_images(tmp_path, IntakeLimits(max_pixels=1000))
    assert found.broken[0][1] == '"large.png" has 30 x 40 pixels; make it smaller, at most 0.001 million pixels.'


def test_classes_that_are_too_small_forbid_training(tmp_path: Path) -> None:
    filled(tmp_path / "a", {"Crow": 5, "Jay": 4})
    assert problem(tmp_path / "a").startswith('"Jay" with 4 has fewer than 5 different images that can be read; add')
    filled(tmp_path / "b", dict.fromkeys("abcdef", 1) | {"Jay": 5})
    assert problem(tmp_path / "b").startswith('6 classes, such as "a" with 1, "b" with 1, "c" with 1, have fewer than')


def test_copies_and_broken_files_do_not_make_a_class_large_enough(tmp_path: Path) -> None:
    filled(tmp_path, {"Crow": 5, "Jay": 4, "Wren": 4})
    shutil.copy(tmp_path / "Jay/0.png", tmp_path / "Jay/copy.png")
    (tmp_path / "Wren/4.png").write_bytes(b"no image")
    assert '2 classes, such as "Jay" with 4, "Wren" with 4' in problem(tmp_path)


def test_one_class_forbids_training(tmp_path: Path) -> None:
    assert problem(filled(tmp_path, {"Crow": 6})).startswith('There is one class only, "Crow"')


def test_images_in_no_class_folder_forbid_training(tmp_path: Path) -> None:
    filled(tmp_path / "a", {"": 6})
    assert problem(tmp_path / "a").startswith('6 images lie in no class folder, such as "0.png"; put each')
    filled(tmp_path / "b", {"Crow": 5, "Jay": 5})
    save(tmp_path / "b/stray.png", 99)
    assert problem(tmp_path / "b").startswith('1 image lies in no class folder, such as "stray.png"')


def test_a_class_may_be_called_unlabeled(tmp_path: Path) -> None:
    assert inspect_images(filled(tmp_path, {"Crow": 5, "unlabeled": 5})).problems == ()


def test_no_images_forbid_training(tmp_path: Path) -> None:
    (tmp_path / "empty/Crow").mkdir(parents=True)
    assert problem(tmp_path / "empty").startswith("There are no images; give")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/notes.txt").write_text("hello")
    assert "holds no images" in problem(tmp_path / "texts")


def test_images_none_of_which_can_be_read_forbid_training(tmp_path: Path) -> None:
    for name in ("Crow/a.jpg", "Jay/b.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"text")
    assert problem(tmp_path).startswith('None of the 2 images can be read; the first says: "a.jpg" is not an image')


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='"none" does not exist'):
        inspect_images(tmp_path / "none")


def test_too_many_classes_or_images_forbid_training_and_none_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, {"Crow": 5, "Jay": 5, "Wren": 5})
    monkeypatch.setattr("concepthash.data.intake.read_image", None)
    found = inspect_images(tmp_path, IntakeLimits(max_classes=2, max_images=14))
    assert found == Inspection(
        problems=(
            "There are 15 images, more than the 14 that can be trained on; leave some out.",
            "There are 3 classes, more than the 2 that can be trained on; leave some out.",
        )
    )


def test_a_zip_of_3000_classes_with_one_image_each_ends_in_a_sentence(tmp_path: Path) -> None:
    picture = save(tmp_path / "one.png", 0).read_bytes()
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(3000):
            archive.writestr(f"birds/class {number}/a.png", picture)
    unpack_zip(tmp_path / "many.zip", tmp_path / "intake")
    assert problem(tmp_path / "intake").startswith("There are 3000 classes, more than the 1000 that can be trained on")
    said = inspect_images(tmp_path / "intake", IntakeLimits(max_classes=5000)).problems
    assert said[0].startswith("3000 classes, such as") and "1 picture lies in two classes" in said[1]


def test_a_zip_of_one_class_ends_in_a_sentence(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        for number in range(6):
            archive.write(save(tmp_path / f"{number}.png", number), f"Crow/{number}.png")
    unpack_zip(tmp_path / "one.zip", tmp_path / "intake")
    assert problem(tmp_path / "intake").startswith('There is one class only, "Crow"')


def test_the_same_picture_in_two_classes_forbids_training(tmp_path: Path) -> None:
    filled(tmp_path, {"Crow": 6, "Jay": 6})
    shutil.copy(tmp_path / "Crow/2.png", tmp_path / "Jay/x.png")
    shutil.copy(tmp_path / "Crow/2.png", tmp_path / "Jay/y.png")
    assert problem(tmp_path).startswith('1 picture lies in two classes, such as "2.png" of "Crow" and "x.png" of "Jay"')
    pairs = inspect_images(tmp_path).duplicates
    assert [(one.name, first.name) for one, first in pairs] == [("x.png", "2.png"), ("y.png", "2.png")]


def test_a_copy_without_a_class_is_in_no_second_one(tmp_path: Path) -> None:
    table = read_image_folder(filled(tmp_path, {"Crow": 2, "Jay": 2}))
    table, looks = replace(table, labels=np.array([-1, 0, 1, 1])), [Look(bytes([i])) for i in (0, 0, 1, 2)]
    assert find_problems(table, looks, IntakeLimits(min_images_per_class=1)) == ()


def test_a_picture_twice_in_one_class_is_a_warning(tmp_path: Path) -> None:
    filled(tmp_path, {"Crow": 6, "Jay": 6})
    shutil.copy(tmp_path / "Crow/2.png", tmp_path / "Crow/copy.png")
    found = inspect_images(tmp_path)
    assert found.problems == () and [one.name for one, _ in found.duplicates] == ["copy.png"]
    assert found.warnings == ("1 image repeats another one exactly; remove what is there twice.",)


def test_broken_copies_are_no_duplicates(tmp_path: Path) -> None:
    filled(tmp_path, {"Crow": 5, "Jay": 5})
    for name in ("Crow/x.png", "Jay/x.png"):
        (tmp_path / name).write_bytes(b"no image")
    found = inspect_images(tmp_path)
    assert found.duplicates == () and found.problems == () and len(found.broken) == 2


def test_a_split_that_is_there_is_looked_at_too(tmp_path: Path) -> None:
    filled(tmp_path, {"train/Crow": 5, "test/Crow": 3, "test/Jay": 5})
    assert problem(tmp_path).startswith('1 class has no images in the training part, such as "Jay"; move')
    for number in range(5):
        save(tmp_path / f"train/Jay/{number}.png", 100 + number)
    shutil.copy(tmp_path / "train/Crow/0.png", tmp_path / "test/Crow/x.png")
    found = inspect_images(tmp_path)
    assert found.problems == () and "1 picture is both in the training and in the test part" in found.warnings[1]


def test_class_names_that_differ_in_capitals_only_are_a_warning(tmp_path: Path) -> None:
    filled(tmp_path, {"crow": 5, "Crow": 5})
    assert inspect_images(tmp_path).warnings == ('The classes "Crow" and "crow" differ in capital letters only.',)


# arrange


def test_files_go_into_the_folder_of_their_class(tmp_path: Path) -> None:
    files = [save(tmp_path / f"sent/{i}/image.PNG", i) for i in range(3)]
    arrange({" Möwe ": files[:2], "Snow Goose": files[2:]}, tmp_path / "new/intake")
    table = read_image_folder(tmp_path / "new/intake")
    assert table.image_ids == ("Möwe/image-2.PNG", "Möwe/image.PNG", "Snow Goose/image.PNG")
    assert table.paths[1].read_bytes() == files[0].read_bytes() != table.paths[0].read_bytes()
    assert all(file.exists() for file in files)


def test_names_of_files_become_names_that_every_file_system_holds(tmp_path: Path) -> None:
    names = ["a?.png", "A_.PNG", "é" * 110 + ".png", "x\u202e.png"]
    files = [save(tmp_path / "sent" / name, i) for i, name in enumerate(names)]
    arrange({"Crow": files}, tmp_path / "intake")
    stored = sorted(path.name for path in (tmp_path / "intake/Crow").iterdir())
    assert stored == sorted(["a_.png", "A_-2.PNG", "é" * 75 + ".png", "x_.png"])


@pytest.mark.parametrize(
    "name", ["../evil", "a/b", "a\\b", "..", ".", ".hidden", "__MACOSX", "C:", "CON", "what?", "a\nb", "a\0b", "end."]
)
def test_a_class_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    message = refusal({"Crow": [save(tmp_path / "a.png", 0)], name: [tmp_path / "a.png"]}, tmp_path / "intake")
    assert "cannot be the name of a folder; use letters" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png"]


def test_class_names_too_long_empty_or_twice_are_refused(tmp_path: Path) -> None:
    files = [save(tmp_path / "a.png", 0)]
    assert "has 101 characters; shorten it to at most 100" in refusal({"x" * 101: files}, tmp_path / "intake")
    assert "shorten it" in refusal({"鳥" * 90: files}, tmp_path / "intake")
    assert "has no name; give it one" in refusal({"  ": files}, tmp_path / "intake")
    for other in ("crow ", "CROW"):
        assert '" is there twice' in refusal({"Crow": files, other: files}, tmp_path / "intake")
    assert '"Snow_Goose" is there twice' in refusal({"Snow Goose": files, "Snow_Goose": files}, tmp_path / "intake")


def test_too_many_classes_images_or_bytes_are_refused(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{i}.png", i) for i in range(3)]
    folder = tmp_path / "intake"
    assert "There are no images" in refusal({}, folder)
    assert 'The class "Jay" has no images' in refusal({"Crow": files, "Jay": []}, folder)
    assert "2 classes; choose at most 1" in refusal({"a": files, "b": files}, folder, IntakeLimits(max_classes=1))
    assert "more than 5 images" in refusal({"a": files, "b": files}, folder, IntakeLimits(max_images=5))
    n_bytes = sum(file.stat().st_size for file in files)
    assert "more than" in refusal({"a": files}, folder, IntakeLimits(max_bytes=n_bytes - 1))
    arrange({"a": files}, folder, IntakeLimits(max_bytes=n_bytes))


def test_files_that_are_no_images_links_or_lost_are_refused(tmp_path: Path) -> None:
    image = save(tmp_path / "a.png", 0)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "link.png").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "b.zip").write_bytes(b"PK")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for name, said in {
        "secret.txt": "not named like an image",
        "link.png": "no ordinary file",
        "b.zip": "another archive",
        "folder.png": "no ordinary file",
        "pipe.png": "no ordinary file",
        "lost.png": "is not there",
    }.items():
        assert said in refusal({"Crow": [image, tmp_path / name]}, tmp_path / "intake")


def test_a_full_disk_while_copying_is_said_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [save(tmp_path / f"{i}.png", i) for i in range(3)]
    plain_open = Path.open

    def full(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        if "x" in mode and path.name == "2.png":
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain_open(path, mode, *args, **options)

    monkeypatch.setattr(Path, "open", full)
    assert refusal({"Crow": files}, tmp_path / "intake").startswith("The disk is full")


@pytest.mark.parametrize("name", ["a" * 300, "..", "a/../b", "\0", "", " ", "e\u0301", "\udcff", "LPT1.tar.gz", "…"])
def test_a_portable_name_is_one_part_of_a_path_and_stays_as_it_is(name: str) -> None:
    portable = portable_name(name)
    assert portable and portable not in (".", "..") and "/" not in portable and "\0" not in portable
    assert portable_name(portable) == portable and portable.encode()


# hold_out


def test_every_class_keeps_a_share_of_its_images_for_the_test(tmp_path: Path) -> None:
    table = read_image_folder(filled(tmp_path, {"Crow": 30, "Jay": 10, "Wren": 5, "Tern": 4}))
    split = hold_out(table)
    assert split.is_train is not None and split.image_ids == table.image_ids
    n_test = {name: int((~split.is_train[split.labels == c]).sum()) for c, name in enumerate(split.class_names)}
    assert n_test == {"Crow": 6, "Jay": 2, "Tern": 1, "Wren": 1}
    assert hold_out(table, share=0.9).is_train[table.labels == 0].sum() == 3  # type: ignore[index]


def test_a_split_depends_on_the_seed_only(tmp_path: Path) -> None:
    table = read_image_folder(filled(tmp_path, {"Crow": 30, "Jay": 10}))
    one, same, other = (hold_out(table, seed=seed).is_train for seed in (0, 0, 1))
    assert one is not None and same is not None and other is not None
    assert (one == same).all() and (one != other).any()


def test_copies_lie_on_the_same_side(tmp_path: Path) -> None:
    filled(tmp_path, {"Crow": 12, "Jay": 12})
    for number in range(12):
        for copy in range(number % 3):
            shutil.copy(tmp_path / f"Crow/{number}.png", tmp_path / f"Crow/{number}-{copy}.png")
    shutil.copy(tmp_path / "Jay/0.png", tmp_path / "Crow/jay.png")
    table = read_image_folder(tmp_path)
    for seed in range(20):
        is_train = hold_out(table, 0.3, seed).is_train
        assert is_train is not None and not is_train.all()
        sides: dict[bytes, set[bool]] = {}
        for path, side in zip(table.paths, is_train.tolist(), strict=True):
            sides.setdefault(path.read_bytes(), set()).add(side)
        assert all(len(side) == 1 for side in sides.values())


def test_a_class_of_copies_gives_its_smallest_group(tmp_path: Path) -> None:
    filled(tmp_path, {"Crow": 2, "Jay": 5})
    for copy in range(3):
        shutil.copy(tmp_path / "Crow/0.png", tmp_path / f"Crow/copy{copy}.png")
    table = read_image_folder(tmp_path)
    for seed in range(10):
        is_train = hold_out(table, seed=seed).is_train
        assert is_train is not None
        assert [i for i, side in zip(table.image_ids, is_train, strict=True) if not side and "Crow" in i] == [
            "Crow/1.png"
        ]


def test_a_class_without_enough_different_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='"Jay" has too few different images, 3, to hold one out'):
        hold_out(read_image_folder(filled(tmp_path / "a", {"Crow": 5, "Jay": 3})))
    filled(tmp_path / "b", {"Crow": 5, "Jay": 1})
    for copy in range(5):
        shutil.copy(tmp_path / "b/Jay/0.png", tmp_path / f"b/Jay/copy{copy}.png")
    with pytest.raises(DataError, match='"Jay" has too few different images, 1, to'):
        hold_out(read_image_folder(tmp_path / "b"))


def test_a_split_that_is_there_stays(tmp_path: Path) -> None:
    table = read_image_folder(filled(tmp_path, {"train/Crow": 1, "test/Crow": 1}))
    assert hold_out(table) is table


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(tmp_path: Path, share: float) -> None:
    with pytest.raises(DataError, match="share of images to hold out"):
        hold_out(read_image_folder(filled(tmp_path, {"Crow": 5})), share)


def test_what_the_inspection_lets_through_can_be_held_out(tmp_path: Path) -> None:
    """The least that is let through: five different images in each of two classes, with copies."""
    filled(tmp_path, {"Crow": 5, "Jay": 5})
    for number in range(5):
        shutil.copy(tmp_path / f"Crow/{number}.png", tmp_path / f"Crow/{number}-copy.png")
    assert inspect_images(tmp_path).problems == ()
    is_train = hold_out(read_image_folder(tmp_path)).is_train
    assert is_train is not None and (~is_train[:10]).sum() == 2 and (~is_train[10:]).sum() == 1

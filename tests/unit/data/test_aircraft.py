"""Reading FGVC-Aircraft from a small made-up one."""

from pathlib import Path

import pytest

from concepthash.data import read_aircraft, read_dataset
from concepthash.errors import DataError

FILES = {
    "variants.txt": "747-100\nF-16A/B\nF/A-18\n",
    "families.txt": "F-16\nBoeing 747\nF/A-18\n",
    "images_variant_trainval.txt": "0034 F-16A/B\n0007 747-100\n",
    "images_variant_test.txt": "0099 F/A-18\n0011 747-100\n",
    "images_family_trainval.txt": "0034 F-16\n0007 Boeing 747\n",
    "images_family_test.txt": "0099 F/A-18\n0011 Boeing 747\n",
    "images_box.txt": "0007 1 1 100 50\n0011 1 1 2 2\n0034 11 21 20 40\n0099 5 5 9 9\n",
}


@pytest.fixture
def aircraft(tmp_path: Path) -> Path:
    data = tmp_path / "fgvc-aircraft-2013b" / "data"
    for name, text in (FILES | {f"images/{key}.jpg": "" for key in ("0034", "0007", "0099", "0011")}).items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(text)
    return data


def test_variants_are_classes_and_families_their_own(aircraft: Path) -> None:
    for root in (aircraft, aircraft.parent, aircraft.parent.parent):
        table = read_dataset(root)
        assert table.root == aircraft and table.name == "fgvc-aircraft"
    assert table.image_ids == ("0034.jpg", "0007.jpg", "0099.jpg", "0011.jpg")
    assert table.class_names == ("747-100", "F-16A/B", "F/A-18") and table.labels.tolist() == [1, 0, 2, 0]
    assert table.families == ("Boeing 747", "F-16", "F/A-18")
    assert table.is_train is not None and table.is_train.tolist() == [True, True, False, False]
    assert table.boxes is not None and table.boxes[:2].tolist() == [[10, 20, 10, 20], [0, 0, 100, 50]]


def test_boxes_may_be_absent_and_images_missing(aircraft: Path, caplog: pytest.LogCaptureFixture) -> None:
    (aircraft / "images_box.txt").unlink()
    (aircraft / "images/0007.jpg").unlink()
    table = read_aircraft(aircraft)
    assert table.boxes is None and table.labels.tolist() == [1, 2, 0] and "1 of 4 images" in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "part_of_message"),
    [
        ("variants.txt", "747-100\nF-16A/B\n", "variants.txt has no F/A-18"),
        ("variants.txt", "747-100\n747-100\n", "a name twice"),
        ("families.txt", "F-16\n", "families.txt has no Boeing 747, F/A-18"),
        ("images_variant_test.txt", "0034 747-100\n", "both variant splits"),
        ("images_variant_test.txt", "0099\n", "Line 1 of images_variant_test.txt"),
        ("images_variant_test.txt", "../0099 747-100\n", "leaves the folder"),
        ("images_family_test.txt", "0011 F-16\n", "Images of 747-100 belong to Boeing 747 and to F-16"),
        ("images_box.txt", "0007 1 2 3\n", "no line for 3 images"),
        ("images_box.txt", "0007 1 2 3 4\n0011 1 2\n0034 1 2 3 4\n0099 1 2 3 4\n", "4 numbers a line"),
        ("families.txt", None, "no families.txt"),
        ("variants.txt", None, "no variants.txt"),
        ("images_variant_test.txt", None, "no images_variant_test.txt"),
    ],
)
def test_a_malformed_list_is_named_in_one_sentence(
    aircraft: Path, name: str, text: str | None, part_of_message: str
) -> None:
    (aircraft / name).unlink() if text is None else (aircraft / name).write_text(text)
    with pytest.raises(DataError) as refused:
        read_dataset(aircraft)
    message = str(refused.value)
    assert part_of_message in message and message.endswith(".") and "\n" not in message and str(aircraft) not in message

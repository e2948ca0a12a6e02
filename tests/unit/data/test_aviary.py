"""The aviary: its design, two birds rendered small, the command, the reader, and the bundled pictures."""

import itertools
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from concepthash.data import ImageTable, read_aviary, read_dataset, read_image, read_part_mask
from concepthash.data.aviary.__main__ import main
from concepthash.data.aviary.picture import Picture, render_picture
from concepthash.data.aviary.species import ATTRIBUTES, PART_COLORS, PARTS, SPECIES, Species
from concepthash.errors import DataError

ROOT = Path(__file__).parents[3]
BUNDLED = ROOT / "assets" / "aviary"
REGIONS = ("head", "breast", "wing", "tail")
ID = {name: k + 1 for k, name in enumerate(PARTS)}
SIZE = 96


def worn(species: Species, *regions: str) -> tuple[int, ...]:
    return tuple(getattr(species, region) for region in regions)


def test_forty_species_of_eight_families_have_names_and_looks_of_their_own() -> None:
    assert len({kind.name for kind in SPECIES}) == 40
    assert set(Counter(kind.family for kind in SPECIES).values()) == {5}
    assert all(kind.name.endswith(f" {kind.family}") for kind in SPECIES)
    assert len({tuple(kind.attributes.values()) for kind in SPECIES}) == 40


def test_species_of_a_family_differ_in_one_or_two_parts_and_share_their_silhouette() -> None:
    for first, second in itertools.combinations(SPECIES, 2):
        if first.family == second.family:
            assert first.shape == second.shape
            assert 1 <= sum(getattr(first, name) != getattr(second, name) for name in REGIONS) <= 2


@pytest.mark.parametrize("region", REGIONS)
def test_each_value_of_a_region_is_worn_by_several_species_of_different_families(region: str) -> None:
    families: dict[int, set[str]] = {}
    for kind in SPECIES:
        families.setdefault(getattr(kind, region), set()).add(kind.family)
    counts = Counter(getattr(kind, region) for kind in SPECIES)
    print(region, dict(sorted(counts.items())), {value: len(found) for value, found in sorted(families.items())})
    assert len(counts) == 5 and min(counts.values()) >= 5 and max(counts.values()) <= 10
    assert min(map(len, families.values())) >= 3


@pytest.mark.parametrize("pair", list(itertools.combinations(REGIONS, 2)), ids="-".join)
def test_one_region_tells_little_about_another(pair: tuple[str, str]) -> None:
    joint = np.zeros((5, 5))
    for kind in SPECIES:
        joint[worn(kind, *pair)] += 1
    print(pair, *joint.astype(int).tolist(), sep="\n")
    joint /= joint.sum()
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    bits = (joint[joint > 0] * np.log2(joint[joint > 0] / apart[joint > 0])).sum()
    assert bits < 0.42  # of 2.3; forty draws by chance share 0.3


@pytest.mark.parametrize(("kept", "changed"), list(itertools.permutations(REGIONS, 2)))
@pytest.mark.parametrize("same_family", [True, False])
def test_pairs_exist_that_share_one_region_and_differ_in_another(kept: str, changed: str, same_family: bool) -> None:
    pairs = [
        (first, second)
        for first, second in itertools.combinations(SPECIES, 2)
        if (first.family == second.family) == same_family
        and worn(first, kept) == worn(second, kept)
        and worn(first, changed) != worn(second, changed)
    ]
    assert len(pairs) >= 10


def test_each_attribute_belongs_to_a_part_and_each_part_but_the_head_has_one() -> None:
    assert set(ATTRIBUTES.values()) == set(PARTS) - {"head"}
    assert all(list(kind.attributes) == list(ATTRIBUTES) for kind in SPECIES)


@pytest.fixture(scope="module")
def hawk() -> Picture:
    return render_picture(SPECIES[12], 3, seed=0, size=SIZE, n_samples=4)


@pytest.fixture(scope="module")
def heron() -> Picture:
    return render_picture(SPECIES[15], 0, seed=0, size=SIZE, n_samples=4)


def test_a_picture_and_its_parts_are_of_the_size_asked_for(hawk: Picture, heron: Picture) -> None:
    for picture in (hawk, heron):
        assert picture.image.shape == (SIZE, SIZE, 3) and picture.image.dtype == np.uint8
        assert picture.parts.shape == (SIZE, SIZE) and picture.parts.dtype == np.uint8


def test_all_parts_are_seen_and_the_bird_fills_a_good_part_of_its_picture(hawk: Picture, heron: Picture) -> None:
    for picture in (hawk, heron):
        assert set(range(1, 12)) <= set(np.unique(picture.parts))
        is_bird = picture.parts > 0
        assert max(np.ptp(np.nonzero(is_bird)[k]) for k in (0, 1)) > 0.5 * SIZE
        assert picture.image[is_bird].std() > 20


def middle(picture: Picture, *parts: str) -> np.ndarray:
    return np.argwhere(np.isin(picture.parts, [ID[part] for part in parts])).mean(0)[::-1]  # x, y


def test_parts_lie_where_a_bird_has_them(hawk: Picture, heron: Picture) -> None:
    for picture in (hawk, heron):
        head, wing = middle(picture, "crown", "head"), middle(picture, "wing")
        eye = middle(picture, "eye")
        assert np.linalg.norm(eye - head) < 0.12 * SIZE < np.linalg.norm(eye - middle(picture, "tail"))
        ahead = middle(picture, "beak")[0] - wing[0]
        assert ahead * (middle(picture, "tail")[0] - wing[0]) < 0  # beak and tail on opposite sides
        assert (ahead < 0) == picture.view.is_flipped
        assert middle(picture, "crown")[1] < middle(picture, "breast")[1] < middle(picture, "leg")[1]
        assert middle(picture, "back")[1] < middle(picture, "belly")[1]


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(hawk: Picture) -> None:
    again = render_picture(SPECIES[12], 3, seed=0, size=SIZE, n_samples=4)
    np.testing.assert_array_equal(again.image, hawk.image)
    np.testing.assert_array_equal(again.parts, hawk.parts)
    other = render_picture(SPECIES[12], 3, seed=1, size=SIZE, n_samples=4)
    assert (other.parts != hawk.parts).mean() > 0.05


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole aviary whose pictures are all but one lent from one rendering."""
    root = tmp_path_factory.mktemp("rendered") / "aviary"
    picture = render_picture(SPECIES[0], 0, seed=5, size=32, n_samples=1)
    parts = Image.fromarray(picture.parts)
    for kind in SPECIES:
        for folder in ("images", "parts"):
            (root / folder / kind.slug).mkdir(parents=True)
        Image.fromarray(picture.image).save(root / "images" / kind.slug / "00.jpg")
        parts.save(root / "parts" / kind.slug / "00.png")
    (root / "images" / SPECIES[3].slug / "00.jpg").unlink()
    assert main(command(root)) == 0
    return root


def command(root: Path, *, seed: int = 5) -> list[str]:
    return [*f"--seed {seed} --size 32 --per-species 1 --samples 1 --workers 1 --out".split(), str(root)]


def test_the_command_renders_only_what_is_missing(rendered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = rendered / "images" / SPECIES[7].slug / "00.jpg"
    kept = rendered / "images" / SPECIES[8].slug / "00.jpg"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    assert main(command(rendered)) == 0
    assert "1 pictures rendered" in capsys.readouterr().out
    assert lost.is_file() and kept.stat().st_mtime_ns == before
    assert not [path for path in rendered.rglob("*") if path.name.startswith(".")]


def test_the_command_refuses_a_folder_begun_with_another_seed(
    rendered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(rendered, seed=6)) == 2
    assert "another seed" in capsys.readouterr().err


def test_the_command_says_in_one_sentence_what_it_cannot_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(command(tmp_path / "file" / "aviary")) == 2
    assert main([*command(tmp_path / "small"), "--size", "8"]) == 2
    from concepthash.data.aviary import scene

    scene.mitsuba.cache_clear()
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    assert main(command(tmp_path / "new")) == 2
    scene.mitsuba.cache_clear()
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 3
    assert "cannot be written" in lines[0] and "at least 32" in lines[1] and "pip install mitsuba" in lines[2]


def test_the_reader_gives_species_parts_and_attributes(rendered: Path) -> None:
    table = read_dataset(rendered)
    assert len(table) == 40 and table.class_names == tuple(kind.name for kind in SPECIES)
    assert table.families == tuple(kind.family for kind in SPECIES)
    assert table.part_names == PARTS and table.attribute_names == tuple(ATTRIBUTES)
    assert table.attribute_parts == tuple(ATTRIBUTES.values())
    assert table.attributes is not None and table.attributes.shape == (40, len(ATTRIBUTES))
    assert dict(zip(table.attribute_names, table.attributes[17].tolist(), strict=True)) == SPECIES[17].attributes
    chosen = table.subset(np.array([9, 2]))
    assert chosen.mask_paths is not None and [path.parent.name for path in chosen.mask_paths] == [
        SPECIES[9].slug,
        SPECIES[2].slug,
    ]
    assert chosen.part_names == PARTS and chosen.attributes is table.attributes
    assert read_part_mask(chosen, 1).shape == (32, 32)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("images.csv", "train", "trial", "train or test"),
        ("images.csv", "images/", "../", "outside the images"),
        ("images.csv", "split", "part", "no column split"),
        ("species.csv", "hearth sparrow", "hearth lark", "has no hearth sparrow"),
        ("species.csv", "tail_shape", "tail_form", "no column tail_shape"),
        ("attributes.csv", ",wing,", ",fin,", "belongs to fin"),
        ("parts.csv", "3,crown", "4,crown", "must number"),
        ("parts.csv", None, None, "no parts.csv"),
        ("parts/hearth_sparrow/00.png", None, None, "lacks 1 of its files"),
    ],
)
def test_a_damaged_aviary_is_refused(
    rendered: Path, tmp_path: Path, file: str, old: str | None, new: str | None, message: str
) -> None:
    root = tmp_path / "aviary"
    for path in rendered.rglob("*"):
        if path.is_file():
            copy = root / path.relative_to(rendered)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    if old is None or new is None:
        (root / file).unlink()
    else:
        (root / file).write_text((root / file).read_text().replace(old, new))
    with pytest.raises(DataError, match=message):
        read_aviary(root)


def test_a_mask_that_is_absent_or_has_an_unnamed_part_is_refused(rendered: Path, cub_folder: Path) -> None:
    with pytest.raises(DataError, match="no part masks"):
        read_part_mask(read_dataset(cub_folder), 0)
    table = read_aviary(rendered)
    assert table.mask_paths is not None
    Image.new("L", (32, 32), 200).save(table.mask_paths[30])
    with pytest.raises(DataError, match="has a part 200"):
        read_part_mask(table, 30)
    table.mask_paths[30].write_bytes(b"not an image")
    with pytest.raises(DataError, match="missing or damaged"):
        read_part_mask(table, 30)


@pytest.fixture(scope="module")
def bundled() -> ImageTable:
    return read_dataset(BUNDLED)


def test_the_bundled_aviary_has_a_thousand_pictures_and_a_split(bundled: ImageTable) -> None:
    assert len(bundled) == 1000 and bundled.is_train is not None and bundled.boxes is not None
    for label in range(40):
        assert bundled.is_train[bundled.labels == label].sum() == 17
    assert (np.bincount(bundled.labels) == 25).all()
    assert sum(path.stat().st_size for path in BUNDLED.rglob("*") if path.is_file()) < 28e6


def test_bundled_masks_fit_their_pictures_and_boxes(bundled: ImageTable) -> None:
    assert bundled.boxes is not None
    for row in range(0, 1000, 23):
        image, mask = read_image(bundled.paths[row]), read_part_mask(bundled, row)
        assert image.shape == (256, 256, 3) and mask.shape == (256, 256)
        x, y, width, height = bundled.boxes[row].astype(int)
        assert 0 <= x < x + width <= 256 and 0 <= y < y + height <= 256
        assert mask[y : y + height, x : x + width].astype(bool).sum() == (mask > 0).sum() > 1500


def test_eye_and_beak_are_seen_in_most_bundled_pictures(bundled: ImageTable) -> None:
    seen = [np.isin([ID["eye"], ID["beak"]], read_part_mask(bundled, row)).all() for row in range(0, 1000, 7)]
    assert np.mean(seen) > 0.95


def test_reading_an_aviary_needs_nothing_that_rendering_needs() -> None:
    program = "import sys, concepthash.data; sys.exit(any(m in sys.modules for m in ('mitsuba', 'skimage', 'cv2')))"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_every_part_has_a_color_of_its_own() -> None:
    assert len(PART_COLORS) == len(PARTS) == len(set(PART_COLORS))

"""Pictures of class centers: what they keep, what is measured on them, and the centers of other models beside them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import CLASS_NAMES, tiny_classes, tiny_config, tiny_model
from safetensors.numpy import save_file

from concepthash.center_maps import METHODS, MIN_TSNE, fit_plane, place_between, project, unit_rows
from concepthash.center_measures import (
    false_links,
    family_purity,
    family_silhouette,
    nearest_classes,
    picture_trust,
)
from concepthash.center_sets import CENTERS_FILE, add_center_set, center_sets, class_centers, read_added_sets
from concepthash.centers import center_figures, main
from concepthash.checkpoint import Checkpoint, ClassTable, read_checkpoint, save_checkpoint
from concepthash.data.families import TAXONOMY, families_of, largest_families, plain_name, share_in_taxonomy
from concepthash.errors import CheckpointError, ConfigError


def centers(n: int, k: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, k)).astype(np.float32)


def clusters(sizes: tuple[int, ...], noise: float = 0.1) -> tuple[np.ndarray, list[str]]:
    """Families of the given sizes, each around a direction of its own."""
    directions, families = centers(len(sizes), 32, seed=3), []
    rows = []
    for number, size in enumerate(sizes):
        rows.append(directions[number] + noise * centers(size, 32, seed=10 + number))
        families += [f"family {number}"] * size
    return np.concatenate(rows), families


def cub_names() -> list[str]:
    rows = csv.DictReader(line for line in TAXONOMY.read_text().splitlines() if not line.startswith("#"))
    return [row["class_name"] for row in rows]


# --- families ---------------------------------------------------------------------------------------------------------


def test_the_last_words_of_cub_give_the_ten_families_of_the_papers_figure() -> None:
    families = families_of(cub_names())
    assert len(families) == 200 and len(set(families)) == 70
    counts = {name: families.count(name) for name in largest_families(families)}
    assert counts == {
        "warbler": 25, "sparrow": 21, "gull": 8, "flycatcher": 7, "tern": 7, "vireo": 7, "wren": 7, "woodpecker": 6,
        "kingfisher": 5, "oriole": 4,
    }  # fmt: skip


def test_the_taxonomy_puts_together_what_the_names_keep_apart() -> None:
    names = ["002.Laysan_Albatross", "Northern_Flicker", "downy woodpecker", "dark eyed junco", "Red legged Kittiwake"]
    families = families_of(names, "taxonomy")
    assert families == ("Diomedeidae", "Picidae", "Picidae", "Passerellidae", "Laridae")
    assert families_of(["zebra", ""], "taxonomy") == ("", "")
    assert share_in_taxonomy(["zebra", "marsh wren"]) == 0.5 and share_in_taxonomy([]) == 0


def test_every_family_of_the_table_belongs_to_one_order() -> None:
    lines = [line for line in TAXONOMY.read_text().splitlines() if not line.startswith("#")]
    pairs = {(row["family"], row["order"]) for row in csv.DictReader(lines)}
    assert len(pairs) == len({family for family, _ in pairs})


def test_names_are_compared_without_numbers_case_and_underscores() -> None:
    assert plain_name(" 001.Black_footed  Albatross") == "black footed albatross"
    assert plain_name("St. Lucia_Parrot") == "st. lucia parrot"


def test_an_unknown_grouping_is_refused() -> None:
    with pytest.raises(ConfigError, match="color"):
        families_of(["marsh wren"], "color")


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 3, MIN_TSNE - 1, MIN_TSNE, 30])
def test_any_number_of_classes_gets_one_finite_dot_each_and_the_same_ones_again(n: int, method: str) -> None:
    positions = project(centers(n), method)
    assert positions.shape == (n, 2) and positions.dtype == np.float32 and np.isfinite(positions).all()
    assert np.array_equal(positions, project(centers(n), method))
    assert np.allclose(positions.mean(axis=0), 0, atol=1e-4 * max(1.0, np.abs(positions).max()))


@pytest.mark.parametrize("method", METHODS)
def test_equal_centers_share_one_place(method: str) -> None:
    assert np.allclose(project(np.ones((12, 4)), method), 0, atol=1e-6)
    assert np.allclose(project(np.zeros((12, 4)), method), 0)


@pytest.mark.parametrize("method", METHODS)
def test_the_length_of_a_center_does_not_move_it(method: str) -> None:
    table = centers(20)
    lengths = np.float32(2.0) ** np.arange(-10, 10, dtype=np.float32)[:, None]  # powers of two lose no bit
    assert np.array_equal(project(table * lengths, method), project(table, method))


@pytest.mark.parametrize("wrong", [np.full((4, 2), np.nan), np.full((4, 2), np.inf), np.zeros((0, 4)), np.zeros(4)])
def test_what_is_no_table_of_finite_numbers_is_refused_with_a_sentence(wrong: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"ash centers (are|have)"):
        project(wrong)
    with pytest.raises(ConfigError, match="umap"):
        project(centers(4), "umap")


def test_t_sne_keeps_neighbors_better_than_pca_and_trust_says_so() -> None:
    table, _ = clusters((8,) * 6)
    trust = {method: picture_trust(table, project(table, method)) for method in METHODS}
    assert trust["tsne"] > 0.95 and trust["tsne"] > trust["pca"]  # type: ignore[operator]
    shuffled = np.random.default_rng(0).permutation(project(table))
    assert picture_trust(table, shuffled) < 0.7  # type: ignore[operator]


def test_the_plane_places_the_centers_where_their_picture_has_them() -> None:
    table = centers(9)
    plane, picture = fit_plane(table), project(table, "pca")
    assert np.allclose(plane.place(table) - plane.place(table).mean(axis=0), picture, atol=1e-6)
    assert np.allclose(plane.axes.T @ plane.axes, np.eye(2), atol=1e-9)


def test_a_vector_in_the_direction_of_a_center_stands_near_it_and_never_outside_all() -> None:
    table = centers(20)
    positions = project(table)
    placed = place_between(5 * table, table, positions)
    apart = np.linalg.norm(placed[:, None] - positions[None], axis=2)
    assert (apart.argmin(axis=1) == np.arange(20)).mean() > 0.9
    assert (placed.min(axis=0) >= positions.min(axis=0)).all() and (placed.max(axis=0) <= positions.max(axis=0)).all()
    assert np.allclose(place_between(centers(3, 16, 5), table[:1], positions[:1]), positions[0])


# --- measures ---------------------------------------------------------------------------------------------------------


def test_families_that_stand_together_are_pure_and_shuffled_ones_as_chance_has_it() -> None:
    table, families = clusters((6,) * 10)
    purity = family_purity(table, families)
    assert purity is not None and purity.share == 1.0 and purity.best == 1.0 and purity.n_classes == 60
    assert purity.chance == pytest.approx(5 / 59)
    mixed = list(np.random.default_rng(1).permutation(families))
    shuffled = family_purity(table, mixed)
    assert shuffled is not None and abs(shuffled.share - shuffled.chance) < 0.06
    assert family_silhouette(table, families) > 0.7 > 0 > family_silhouette(table, mixed)  # type: ignore[operator]


def test_purity_is_counted_as_by_hand_and_leaves_out_single_and_unknown_families() -> None:
    table = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [-1, 0]], dtype=np.float32)
    purity = family_purity(table, ["a", "a", "b", "", ""], k=2)
    assert purity is not None and purity.n_classes == 2
    assert purity.share == pytest.approx(1 / 2)  # one of the two nearest, for both
    assert purity.chance == pytest.approx(1 / 4) and purity.best == pytest.approx(1 / 2)
    assert family_purity(table, ["a", "b", "c", "", ""]) is None
    assert family_silhouette(table, ["a", "a", "b", "", ""]) is None


def test_a_false_link_joins_classes_that_the_picture_keeps_apart() -> None:
    table = np.array([[1, 0.0], [1, 0.1], [0, 1], [0.1, 1], [-1, 0.2]], dtype=np.float32)
    honest = np.array([[0, 0], [0, 1], [9, 0], [9, 1], [20, 0]], dtype=np.float32)
    assert len(false_links(table, honest, k=1)) == 0
    lying = honest[[0, 4, 2, 3, 1]]
    links = {tuple(map(int, pair)) for pair in false_links(table, lying, k=1)}
    assert (0, 1) in links and (1, 0) in links and (2, 3) not in links
    assert len(false_links(table[:1], honest[:1])) == 0


def test_the_nearest_classes_are_those_of_largest_cosine_with_the_bits_between_them() -> None:
    table = np.array([[1, 1, 1, 1], [1, 1, 1, -0.2], [-1, -1, -1, -1], [1, -1, 1, 1]], dtype=np.float32)
    near = nearest_classes(table, 0)
    assert [(n.class_index, n.distance) for n in near] == [(1, 1), (3, 1), (2, 4)]
    assert near[0].cosine > near[1].cosine > 0 and near[2].cosine == pytest.approx(-1)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_classes_are_measured_without_an_error(n: int) -> None:
    if n > 1:
        figures = center_figures(centers(n), ["a", "a", "b", "b", "c"][:n])
        assert all(value is None or np.isfinite(value) for value in figures.values())
    assert picture_trust(centers(n), project(centers(n))) is None or n > 3


# --- sets of other models ---------------------------------------------------------------------------------------------


def saved(folder: Path, kind: str = "language", seed: int = 0, names: tuple[str, ...] = CLASS_NAMES) -> Checkpoint:
    config = tiny_config(**({} if kind == "language" else {"centers": kind, "text_dim": 0}))
    model = tiny_model(config)
    if kind == "learnable":
        with torch.no_grad():
            model.class_centers.free_centers.normal_(generator=torch.Generator().manual_seed(seed))
    table = tiny_classes() if kind == "language" else ClassTable(names, tuple(n.split()[-1] for n in names))
    return save_checkpoint(folder, model, table, half=False)


@pytest.fixture
def guided(tmp_path: Path) -> Checkpoint:
    return saved(tmp_path / "guided")


def test_a_checkpoint_keeps_the_centers_of_others_in_the_papers_order(guided: Checkpoint, tmp_path: Path) -> None:
    assert list(center_sets(guided, class_centers(guided))) == ["language"]
    learned = saved(tmp_path / "learned", "learnable")
    assert add_center_set(guided, learned) == "learnable"
    assert add_center_set(guided, saved(tmp_path / "random", "random")) == "random"
    again = read_checkpoint(guided.path)  # tolerates the file, and is the same model still
    assert again.fingerprint == guided.fingerprint
    sets = center_sets(again, class_centers(again))
    assert list(sets) == ["random", "learnable", "language"]
    assert np.array_equal(sets["learnable"], class_centers(learned))
    assert set(np.unique(sets["random"])) == {-1.0, 1.0}


def test_classes_in_another_order_find_their_own_centers(guided: Checkpoint, tmp_path: Path) -> None:
    order = tuple(name.title().replace(" ", "_") for name in CLASS_NAMES[::-1])
    learned = saved(tmp_path / "learned", "learnable", names=order)
    add_center_set(guided, learned)
    assert np.array_equal(read_added_sets(guided)["learnable"], class_centers(learned)[::-1])


def test_other_classes_kinds_and_sizes_are_refused(guided: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="language centers"):
        add_center_set(guided, saved(tmp_path / "same"))
    strange = saved(tmp_path / "strange", "learnable", names=(*CLASS_NAMES[:-1], "zebra finch"))
    with pytest.raises(CheckpointError, match="other classes"):
        add_center_set(guided, strange)
    config = tiny_config(2, 16, centers="learnable", text_dim=0)
    table = ClassTable(CLASS_NAMES, CLASS_NAMES)
    with pytest.raises(CheckpointError, match=r"\(5, 16\)"):
        add_center_set(guided, save_checkpoint(tmp_path / "long", tiny_model(config), table))
    assert not (guided.path / CENTERS_FILE).exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"random": np.zeros((4, 8), np.float32)}, r"\(4, 8\)"),
        ({"random": np.zeros((5, 8), np.float64)}, "float64"),
        ({"random": np.full((5, 8), np.nan, np.float32)}, "finite"),
        ({"language": np.zeros((5, 8), np.float32)}, "'language'"),
        (b"not safetensors", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_a_sentence(
    guided: Checkpoint, content: dict[str, np.ndarray] | bytes, words: str
) -> None:
    file = guided.path / CENTERS_FILE
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        save_file(content, file)
    with pytest.raises(CheckpointError, match=words):
        center_sets(guided, class_centers(guided))


def test_the_command_adds_a_set_and_prints_what_it_measures(
    guided: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = saved(tmp_path / "learned", "learnable")
    assert main(["--checkpoint", str(guided.path), "--add", str(other.path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report["sets"]) == ["learnable", "language"]
    for figures in report["sets"].values():
        assert figures["chance"] == pytest.approx(1 / 4)
        assert {"family_purity", "best", "family_silhouette", "trust_tsne", "trust_pca"} <= set(figures)
    assert main(["--checkpoint", str(guided.path)]) == 0
    assert "family_purity" in capsys.readouterr().out
    assert main(["--checkpoint", str(guided.path), "--add", str(guided.path)]) == 2
    assert "language centers" in capsys.readouterr().err


def test_rows_get_unit_length_and_zeros_stay() -> None:
    unit = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert np.allclose(unit, [[0.6, 0.8], [0, 0]])

"""The Centers tab without a browser: its service, its figure, its page, and what a click makes of a session."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import CLASS_NAMES
from safetensors.numpy import save_file

import explorer.services.picture_store as picture_store
from concepthash.center_sets import CENTERS_FILE
from concepthash.errors import CheckpointError, ConceptHashError, QueryError
from explorer.center_records import CenterMap, CenterPanel, ClassImages
from explorer.render.center_plot import CLASS_KEY, center_figure, short_code
from explorer.render.centers import center_controls, center_measures, class_card
from explorer.services import Services, load_services
from explorer.services.picture_store import PictureStore
from explorer.session import Session
from explorer.settings import Settings
from explorer.views.centers import act_on_centers

HOSTILE = "<img src=x onerror=alert(1)> & %{x} 'wren'"
START = Session("birds-8", "gallery:x", tab="centers")


def panel(kind: str, n: int, links: int = 0) -> CenterPanel:
    positions = np.random.default_rng(len(kind)).normal(size=(n, 2)).astype(np.float32)
    pairs = np.array([[i, i + 1] for i in range(links)], dtype=np.int64).reshape(-1, 2)
    return CenterPanel(kind, kind == "language", positions, (("0110", "1"),) * n, pairs, 0.63, 0.08, 0.9, 0.2, 0.95)


def shown_map(*kinds: str, n: int = 26, links: int = 0) -> CenterMap:
    """26 classes: two of each of 12 families, and two alone."""
    families = tuple(f"family {i // 2:02d}" if i < 24 else f"alone {i}" for i in range(n))
    return CenterMap(
        checkpoint="birds", projection="tsne", grouping="name", groupings=("name", "taxonomy"),
        class_names=tuple(f"bird {i}" for i in range(n)), families=families,
        largest=tuple(f"family {i:02d}" for i in range(10)), gallery_classes=("", *(f"Bird_{i}" for i in range(1, n))),
        prompts=tuple(f"a photo of a bird {i}" for i in range(n)),
        panels=tuple(panel(kind, n, links) for kind in kinds), n_neighbors=5,
    )  # fmt: skip


def figure(shown: CenterMap, **changes: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"center": "", "chosen": (), "links": False, "images": None} | changes
    return dict(json.loads(center_figure(shown, **asked)))


# --- the service ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_with_its_own_centers_gives_one_panel_with_measures(services: Services) -> None:
    shown = services.centers.picture("birds-8", "tsne", "name")
    assert [p.kind for p in shown.panels] == ["language"] and shown.panels[0].is_own
    assert shown.class_names == CLASS_NAMES and shown.largest == ("tern", "wren", "tanager")
    assert shown.panels[0].positions.shape == (5, 2) and shown.is_plain
    assert shown.panels[0].chance == pytest.approx(1 / 4)
    assert [len(code) for code in shown.panels[0].codes[0]] == [4, 4]
    assert shown.gallery_classes == ("sooty tern", "", "marsh wren", "cactus wren", "")
    assert shown.prompts[2] == "a photo of a marsh wren"


def test_the_taxonomy_is_offered_only_where_it_knows_half_of_the_classes(services: Services) -> None:
    assert services.centers.picture("birds-8", "pca", "taxonomy").grouping == "taxonomy"
    assert services.centers.picture("birds-8", "pca", "color").grouping == "name"


def test_one_class_is_described_by_its_code_its_neighbors_and_its_images(services: Services) -> None:
    detail = services.centers.detail("birds-8", "marsh wren", "name")
    centers = services.models.encoder("birds-8").class_centers
    assert [cell.is_on for cell in detail.cells] == list(centers[2] > 0)
    assert len(detail.nearest) == 4 and detail.nearest[0].cosine >= detail.nearest[-1].cosine
    near = detail.nearest[0]
    assert near.distance == int(((centers[CLASS_NAMES.index(near.class_name)] > 0) != (centers[2] > 0)).sum())
    assert (detail.gallery_class, detail.n_images, len(detail.thumbnails)) == ("marsh wren", 4, 4)
    assert {card.class_name for card in detail.thumbnails} == {"marsh wren"}


def test_a_class_without_an_image_in_the_gallery_is_described_all_the_same(services: Services) -> None:
    detail = services.centers.detail("birds-8", "scarlet tanager", "name")
    assert (detail.gallery_class, detail.n_images, detail.thumbnails) == ("", 0, ())
    images = services.centers.images("birds-8", "scarlet tanager", "tsne")
    assert images.images == () and images.positions.shape == (0, 2)
    with pytest.raises(QueryError, match="zebra"):
        services.centers.detail("birds-8", "zebra", "name")


@pytest.mark.parametrize("projection", ["tsne", "pca"])
def test_images_of_a_class_stand_in_the_picture_of_the_models_own_centers(services: Services, projection: str) -> None:
    images = services.centers.images("birds-8", "marsh wren", projection)
    assert len(images.images) == images.n_images == 4 and images.positions.shape == (4, 2)
    assert all(name.startswith("gallery:") for name in images.images) and np.isfinite(images.positions).all()


def test_a_damaged_file_of_other_centers_is_a_sentence(services: Services, settings: Settings) -> None:
    file = settings.checkpoints / "birds-6" / CENTERS_FILE
    save_file({"random": np.ones((5, 6), np.float32)}, file)
    try:
        shown = services.centers.picture("birds-6", "tsne", "name")
        assert [p.kind for p in shown.panels] == ["random", "language"]
        file.write_bytes(b"damaged")
        with pytest.raises(CheckpointError, match="cannot be read"):
            load_services(settings).centers.picture("birds-6", "pca", "name")
    finally:
        file.unlink()


# --- pictures on disk -------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Methods of the pictures that were computed."""
    made: list[str] = []
    honest = picture_store.project

    def project(centers: np.ndarray, method: str) -> np.ndarray:
        made.append(method)
        return honest(centers, method)

    monkeypatch.setattr(picture_store, "project", project)
    return made


TABLE = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)


def test_a_picture_is_computed_once_and_found_again_after_a_restart(tmp_path: Path, counted: list[str]) -> None:
    first = PictureStore(tmp_path).positions("f" * 64, TABLE, "pca")
    store = PictureStore(tmp_path)
    assert np.array_equal(store.positions("f" * 64, TABLE, "pca"), first) and counted == ["pca"]
    store.positions("f" * 64, TABLE + 1, "pca")
    store.positions("f" * 64, TABLE, "tsne")
    assert counted == ["pca", "pca", "tsne"]


@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_a_damaged_picture_is_made_again(tmp_path: Path, counted: list[str], content: bytes | None) -> None:
    first = PictureStore(tmp_path).positions("f" * 64, TABLE, "pca")
    (file,) = (tmp_path / "centers").iterdir()
    if content is None:
        np.save(file, np.full((12, 2), np.nan, np.float32))
    else:
        file.write_bytes(content)
    assert np.array_equal(PictureStore(tmp_path).positions("f" * 64, TABLE, "pca"), first) and len(counted) == 2
    assert np.array_equal(PictureStore(tmp_path).positions("f" * 64, TABLE, "pca"), first) and len(counted) == 2


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path, counted: list[str]) -> None:
    (tmp_path / "centers").write_text("a file where the folder should be")
    store = PictureStore(tmp_path)
    assert np.array_equal(store.positions("f", TABLE, "pca"), store.positions("f", TABLE, "pca")) and len(counted) == 1


def test_visitors_who_ask_at_once_wait_for_one_computation(tmp_path: Path, counted: list[str]) -> None:
    store, found = PictureStore(tmp_path), []
    threads = [
        threading.Thread(target=lambda: found.append(store.positions("f", TABLE, "tsne")), daemon=True)
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted == ["tsne"] and len({id(positions) for positions in found}) == 1


# --- the figure and the page ------------------------------------------------------------------------------------------


def test_every_class_is_one_dot_in_every_panel_and_families_differ_in_symbol_and_color() -> None:
    shown = shown_map("random", "learnable", "language")
    drawn = figure(shown)
    for axis in ("x", "x2", "x3"):
        keys = [key for trace in drawn["data"] if trace["xaxis"] == axis for key in trace["customdata"]]
        assert sorted(keys) == sorted(CLASS_KEY + name for name in shown.class_names)
    first = [trace for trace in drawn["data"] if trace["xaxis"] == "x"]
    styles = [(trace["marker"]["symbol"], trace["marker"]["color"]) for trace in first]
    assert len(first) == 11 and len(set(styles)) == 11
    assert len({symbol for symbol, _ in styles}) == 11 and len({color for _, color in styles}) == 11
    assert [trace["name"] for trace in drawn["data"] if trace["showlegend"]] == [trace["name"] for trace in first]
    assert {trace["legendgroup"] for trace in drawn["data"]} == {trace["legendgroup"] for trace in first}
    assert all(trace["type"] == "scatter" for trace in drawn["data"])


def test_panels_stand_side_by_side_and_on_a_phone_one_above_the_other() -> None:
    drawn = figure(shown_map("random", "learnable", "language"))
    wide, narrow = drawn["layout"], drawn["narrow"]
    assert wide["xaxis"]["domain"][1] < wide["xaxis2"]["domain"][0] < wide["xaxis3"]["domain"][0]
    assert narrow["yaxis"]["domain"][0] > narrow["yaxis2"]["domain"][1] > narrow["yaxis3"]["domain"][1]
    assert wide["dragmode"] == "lasso" and narrow["dragmode"] is False and narrow["height"] > wide["height"]
    titles = [note["text"] for note in wide["annotations"]]
    assert "Random" in titles[0] and "Learned" in titles[1] and "Language" in titles[2] and "this model" in titles[2]
    assert "63 % family neighbors (8 % by chance)" in titles[0]
    assert figure(shown_map("language"))["layout"]["xaxis"]["domain"] == [0, 1]


def test_a_prompt_is_told_only_where_language_made_the_centers() -> None:
    drawn = figure(shown_map("random", "language"))
    told = {trace["xaxis"]: "".join(trace["hovertext"]) for trace in drawn["data"]}
    assert "a photo of a" in told["x2"] and "a photo of a" not in told["x"]
    assert "0110 1" in told["x"]


def test_lines_ring_images_and_faded_dots_are_drawn_only_on_demand() -> None:
    shown = shown_map("random", "language", links=3)
    images = ClassImages("bird 3", ("gallery:a", "gallery:b"), np.zeros((2, 2), np.float32), 2)
    plain = figure(shown)
    assert not [t for t in plain["data"] if t["mode"] != "markers" or "selectedpoints" in t]
    full = figure(shown, center="bird 3", links=True, images=images, chosen={"bird 3", "bird 25"})
    assert len([t for t in full["data"] if t["mode"] == "lines"]) == 2
    assert [t["text"] for t in full["data"] if t["mode"] == "markers+text"] == [["<b>bird 3</b>"]] * 2
    dots = [t for t in full["data"] if t.get("customdata") == ["gallery:a", "gallery:b"]]
    assert [t["xaxis"] for t in dots] == ["x2"]
    lit = [t["customdata"][i] for t in full["data"] if t["xaxis"] == "x" for i in t.get("selectedpoints", [])]
    assert sorted(lit) == [CLASS_KEY + "bird 25", CLASS_KEY + "bird 3"]


def test_names_are_escaped_in_the_figure_and_on_the_page(services: Services) -> None:
    shown = shown_map("language")
    names = (HOSTILE, *shown.class_names[1:])
    shown = replace(shown, class_names=names, families=(HOSTILE, *shown.families[1:]), largest=(HOSTILE,))
    words = json.dumps(
        [{k: v for k, v in t.items() if k != "customdata"} for t in figure(shown, center=HOSTILE)["data"]]
    )
    assert "<img" not in words and "%{" not in words and "&lt;img" in words
    bar = center_controls(shown, center=HOSTILE, chosen=(HOSTILE,), overlay=True, links=True, n_images=3)
    detail = replace(services.centers.detail("birds-8", "marsh wren", "name"), class_name=HOSTILE, family=HOSTILE)
    for page in (bar, center_measures(shown), class_card(detail, services.info("birds-8"), ("a", "b"))):
        assert "<img src=x" not in page


def test_what_cannot_be_measured_is_a_dash() -> None:
    shown = shown_map("language")
    unknown = replace(shown.panels[0], purity=None, chance=None, best=None, silhouette=None, trust=None)
    page = center_measures(replace(shown, panels=(unknown,)))
    assert page.count("<td>–</td>") == 5
    assert "by chance" not in json.dumps(figure(replace(shown, panels=(unknown,))))
    assert "63 %" in center_measures(shown) and "0.95" in center_measures(shown)


def test_a_class_without_images_says_so_and_offers_none(services: Services) -> None:
    info = services.info("birds-8")
    without = class_card(services.centers.detail("birds-8", "scarlet tanager", "name"), info, ("a", "b"))
    assert "No image of this class is in this gallery" in without and 'data-do="match"' not in without
    with_images = class_card(services.centers.detail("birds-8", "marsh wren", "name"), info, ("a", "b"))
    assert "Look at its 4 images" in with_images and with_images.count('data-do="pick"') == 4
    assert "choose a class" in class_card(None, info, ("a", "b"))


def test_controls_offer_every_class_by_family_and_the_taxonomy_only_where_it_is_known() -> None:
    shown = shown_map("language")
    asked: dict[str, Any] = {"center": "bird 3", "chosen": (), "overlay": False, "links": False, "n_images": 0}
    bar = center_controls(shown, **asked)
    assert bar.count("<option") == 27 and bar.count("<optgroup") == 14
    assert '<option value="bird 3" selected>' in bar and "Taxonomy" in bar
    assert "Taxonomy" not in center_controls(replace(shown, groupings=("name",)), **asked)
    assert "2 classes</strong>" not in bar
    assert "2 classes chosen" in center_controls(shown, **asked | {"chosen": ("a", "b")})


def test_long_codes_are_cut() -> None:
    assert short_code(("0110", "1" * 16)) == "0110 1111111…"


# --- what a click makes of a session ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("do", "values", "changes"),
    [
        ("show", {"name": "projection", "value": "pca"}, {"projection": "pca"}),
        ("show", {"name": "grouping", "value": "taxonomy"}, {"grouping": "taxonomy"}),
        ("show", {"name": "checkpoint", "value": "evil"}, {}),
        ("show", {"name": "projection", "value": "umap"}, {}),
        ("toggle", {"name": "overlay", "value": 1}, {"overlay": 1}),
        ("toggle", {"name": "links", "value": 7}, {"links": 1}),
        ("toggle", {"name": "page", "value": 1}, {}),
        ("center", {"name": "bird 3"}, {"center": "bird 3"}),
        ("center", {"name": "zebra"}, {}),
        ("point", {"key": CLASS_KEY + "bird 3"}, {"center": "bird 3"}),
        ("point", {"key": "gallery:y"}, {"image": "gallery:y"}),
        ("point", {"key": CLASS_KEY + "zebra"}, {}),
        ("lasso", {"keys": [CLASS_KEY + "bird 3", CLASS_KEY + "bird 0", "gallery:y"]}, {"classes": ("Bird_3",)}),
        ("lasso", {"keys": []}, {}),
        ("look", {"name": "Bird_3"}, {"classes": ("Bird_3",)}),
        ("match", {"name": "Bird_3"}, {"classes": ("Bird_3",), "tab": "match"}),
        ("pick", {"image": "gallery:y"}, {"image": "gallery:y"}),
        ("launch", {}, {}),
    ],
)
def test_what_a_click_on_centers_changes(do: str, values: dict[str, Any], changes: dict[str, Any]) -> None:
    assert act_on_centers(START, shown_map("language"), do, values) == replace(START, **changes)


def test_a_lasso_that_is_taken_back_shows_all_classes_again() -> None:
    chosen = START.replace(classes=("Bird_3",))
    assert act_on_centers(chosen, shown_map("language"), "lasso", {"keys": []}).classes == ()
    assert act_on_centers(chosen, shown_map("language"), "clear", {}).classes == ()
    assert act_on_centers(START.replace(center="bird 3"), shown_map("language"), "center", {"name": ""}).center == ""


def test_a_lasso_around_classes_without_an_image_is_refused_with_a_sentence() -> None:
    with pytest.raises(ConceptHashError, match="no image of that class"):
        act_on_centers(START, shown_map("language"), "lasso", {"keys": [CLASS_KEY + "bird 0"]})

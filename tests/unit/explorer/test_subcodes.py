"""Sub-codes: cells that add up to the gallery, links between cell, strip and match, turned bits, and the figure."""

import io
import json
import re
from dataclasses import replace
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from concepthash.errors import QueryError
from concepthash.gallery import Gallery
from concepthash.gallery.stored_image import StoredImage
from explorer.records import ModelInfo
from explorer.render.cells import cell_order
from explorer.render.figure import cells_figure
from explorer.render.flip import flip_page
from explorer.render.plane import plane_figure
from explorer.render.subcodes import subcodes_page
from explorer.services import Services
from explorer.services.crops import cut_window
from explorer.session import Session
from explorer.subcode_records import CellGrid, Crop, Dictionary, Share, SubcodeCell
from explorer.views.subcodes import act_on_subcodes

MODEL, SMALL = "birds-8", "birds-6"  # 2 concepts of 4 bits, 3 concepts of 2 bits
EVIL = "<script>alert('1')</script>\" onload=\"x"


def info_of(services: Services, model: str = SMALL) -> ModelInfo:
    return services.info(model)


def differing(a: str, b: str) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def test_the_cells_of_a_concept_hold_every_image_once(services: Services, first: str) -> None:
    for model, n_concepts in ((MODEL, 2), (SMALL, 3)):
        for concept in range(n_concepts):
            axes = services.subcodes.axes(model, concept)
            grid = services.subcodes.grid(model, "me", first, concept, axes)
            assert len(grid.cells) == 2 ** len(axes) and sum(cell.n for cell in grid.cells) == 12
            assert sum(cell.share for cell in grid.cells) == pytest.approx(1)
            images = [crop.thumbnail.image for cell in grid.cells for crop in cell.crops]
            assert len(images) == len(set(images))
            assert grid.query in [cell.text for cell in grid.cells if cell.n]


def test_a_cell_narrows_the_strip_and_match_to_exactly_its_images(services: Services, first: str) -> None:
    grid = services.subcodes.grid(SMALL, "me", first, 1, (0, 1))
    for cell in grid.cells:
        patterns = ("", cell.pattern, "")
        strip = services.photos.strip(SMALL, "", 0, 100, patterns=patterns)
        assert strip.n_total == cell.n
        shown = {card.image for card in strip.cards}
        assert {crop.thumbnail.image for crop in cell.crops} <= shown
        found = services.match.match(SMALL, "me", first, patterns=patterns)
        assert {match.thumbnail.image for match in found.matches} == shown - {first}


def test_cells_of_several_concepts_narrow_together(services: Services, first: str) -> None:
    one = services.subcodes.grid(SMALL, "me", first, 0, (0, 1)).query
    other = services.subcodes.grid(SMALL, "me", first, 2, (0, 1)).query
    both = services.photos.strip(SMALL, "", 0, 100, patterns=(one, "", other))
    alone = services.photos.strip(SMALL, "", 0, 100, patterns=(one, "", ""))
    assert {card.image for card in both.cards} <= {card.image for card in alone.cards}
    assert first in {card.image for card in both.cards}


def test_two_bits_of_a_longer_subcode_leave_the_others_open(services: Services, first: str) -> None:
    grid = services.subcodes.grid(MODEL, "me", first, 1, (0, 3))
    assert grid.bits == (4, 7)
    assert [cell.pattern for cell in grid.cells] == ["0..0", "0..1", "1..0", "1..1"]
    assert services.subcodes.axes(MODEL, 1, (0, 3)) == (0, 3)
    assert services.subcodes.axes(MODEL, 1) == (0, 1, 2, 3)


def test_the_dictionary_lists_the_codes_in_use_most_common_first(services: Services, first: str) -> None:
    book = services.subcodes.dictionary(MODEL, "me", first, 0, 0)
    counts = [entry.n for entry in book.entries]
    assert counts == sorted(counts, reverse=True) and sum(counts) == 12 and book.n_used == len(counts)
    assert book.n_once == counts.count(1)
    assert services.subcodes.dictionary(MODEL, "me", first, 0, 99).page == book.n_pages - 1


def test_the_pictures_of_a_page_are_fetched_together_and_only_those_shown(services: Services, first: str) -> None:
    gallery, asked = services.photos.shown_gallery(SMALL).gallery.sample, list[int]()
    services.explain.code_logits(SMALL, "me", first)
    images = Gallery.images

    def counted(one: Gallery, rows: np.ndarray) -> tuple[StoredImage, ...]:
        asked.append(len(rows))
        return images(one, rows)

    with patch.object(Gallery, "images", counted):
        grid = services.subcodes.grid(SMALL, "me", first, 0, (0, 1))
        book = services.subcodes.dictionary(SMALL, "me", first, 0, 0)
        shown = [sum(len(cell.crops) for cell in cells) for cells in (grid.cells, book.entries)]
        assert [n for n in asked if n > 1] == shown
        asked.clear()
        plane = services.subcodes.plane(SMALL, "me", first, 0, (0, 1))
        assert max(asked, default=0) <= 1
    told = images(gallery, np.arange(len(gallery)))
    assert plane.images == tuple(f"gallery:{one.image_id}" for one in told)
    assert plane.class_names == tuple(one.class_name for one in told)
    assert plane.families == tuple(one.family for one in told)


def test_an_image_stands_in_the_quadrant_of_its_values(services: Services, first: str) -> None:
    plane = services.subcodes.plane(SMALL, "me", first, 2, (0, 1))
    grid = services.subcodes.grid(SMALL, "me", first, 2, (0, 1))
    cell_of = {crop.thumbnail.image: cell.text for cell in grid.cells for crop in cell.crops}
    for image, (x, y) in zip(plane.images, plane.values.tolist(), strict=True):
        assert cell_of[image] == f"{int(x > 0)}{int(y > 0)}"


def test_turning_a_bit_twice_is_turning_nothing(services: Services, first: str) -> None:
    once = Session(checkpoint=SMALL).with_flip(3)
    twice = once.with_flip(3)
    assert once.flips == (3,) and twice.flips == ()
    now = services.flip.flip(SMALL, "me", first, 1, ())
    again = services.flip.flip(SMALL, "me", first, 1, twice.flips)
    assert again == now and now.before == now.after and now.nearest is None


def test_a_turned_bit_finds_what_the_turned_code_finds(services: Services, first: str) -> None:
    flip = services.flip.flip(SMALL, "me", first, 1, (2, 5))
    assert flip.flipped == (2,)  # bit 5 belongs to another concept
    gallery = services.photos.shown_gallery(SMALL).gallery
    code = gallery.code_logits > 0  # (12, 6)
    row = gallery.row_of(first.partition(":")[2])
    asked = code[row].copy()
    asked[2] ^= True
    expected = sorted((int((code[i] != asked).sum()), i) for i in range(12) if i != row)[:8]
    assert [(match.distance, match.thumbnail.image) for match in flip.after] == [
        (distance, f"gallery:{gallery.image_ids[i]}") for distance, i in expected
    ]
    carriers = [i for i in range(12) if i != row and (code[i, 2:4] == asked[2:4]).all()]
    assert flip.n_with_code == len(carriers)
    if carriers:
        best = min(int((code[i] != code[row]).sum()) for i in carriers)
        assert flip.nearest is not None
        assert sum(chip.distance for chip in flip.nearest.chips if chip.concept != 1) == best - 1
    else:
        assert flip.nearest is None


def test_neighboring_cells_of_a_karnaugh_map_differ_in_one_bit() -> None:
    for n_axes in (3, 4):
        order = cell_order(n_axes, "paper")
        for row in order:
            assert all(differing(a, b) == 1 for a, b in zip(row, row[1:] + row[:1], strict=True))
        for column in zip(*order, strict=True):
            assert all(differing(a, b) == 1 for a, b in pairwise(column))
        assert len({text for row in order for text in row}) == 2**n_axes


def test_the_two_layouts_are_those_of_the_paper_and_of_its_poster() -> None:
    assert cell_order(2, "paper") == (("01", "11"), ("00", "10"))
    assert cell_order(2, "poster") == (("00", "01"), ("10", "11"))


def test_the_plane_puts_the_first_bit_where_its_layout_says(services: Services, first: str) -> None:
    plane = services.subcodes.plane(SMALL, "me", first, 0, (0, 1))
    paper, poster = (json.loads(plane_figure(plane, layout)) for layout in ("paper", "poster"))
    assert paper["data"][-1]["x"] == poster["data"][-1]["y"] == [round(plane.query[0], 3)]
    assert poster["layout"]["yaxis"]["autorange"] == "reversed"
    places = {note["text"]: (note["x"], note["y"]) for note in poster["layout"]["annotations"]}
    assert places["<b>00</b>"] == (0, 1) and places["<b>10</b>"] == (0, 0)


def test_a_window_stays_inside_the_image() -> None:
    assert cut_window((60, 90), (0.5, 0.5), 0.5) == (slice(15, 45), slice(30, 60))
    assert cut_window((60, 90), (0.0, 1.0), 0.5) == (slice(30, 60), slice(0, 30))
    assert cut_window((60, 90), None, 0.5) == (slice(0, 60), slice(15, 75))


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_the_figure_can_be_had_as_a_file(services: Services, first: str, kind: str, start: bytes) -> None:
    for model in (SMALL, MODEL):
        grid = services.subcodes.grid(model, "me", first, 0, services.subcodes.axes(model, 0))
        crops = services.crops.of_grid(model, grid, 0.4)
        file = cells_figure(grid, crops, "A title with $ and _ in it", "paper", kind)
        assert file.startswith(start)
    if kind == "png":
        picture = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
        assert min(picture.shape[:2]) > 600 and picture.std() > 10


def test_a_concept_of_one_bit_has_two_cells_and_no_plane(services: Services, first: str) -> None:
    grid = services.subcodes.grid(SMALL, "me", first, 0, (1,))
    assert [cell.text for cell in grid.cells] == ["0", "1"]
    assert cell_order(1, "paper") == (("0", "1"),)


def test_a_bit_that_does_not_exist_is_refused(services: Services, first: str) -> None:
    with pytest.raises(QueryError, match="bits 0 to 5"):
        services.subcodes.grid(SMALL, "me", first, 2, (0, 7))


def test_no_name_becomes_markup(services: Services, first: str) -> None:
    real = services.subcodes.grid(SMALL, "me", first, 0, (0, 1))
    crop = next(cell for cell in real.cells if cell.n).crops[0]
    evil = replace(crop, thumbnail=replace(crop.thumbnail, class_name=EVIL, image=f"gallery:{EVIL}", path=f"/{EVIL}"))
    share = (Share(EVIL, 3),)
    cells = tuple(SubcodeCell(t, t, 3, 0.5, 1.0, 1.0, share, share, (evil, Crop(evil.thumbnail, None, 0))) for t in
                  ("00", "01", "10", "11"))  # fmt: skip
    shown: tuple[CellGrid | Dictionary, ...] = (
        CellGrid(0, (0, 1), cells, 12, "01"),
        Dictionary(0, cells, 40, 2, 1, 0, 3, "01"),
    )
    names = (EVIL, "b", "c")
    pages = [
        subcodes_page(
            part,
            info_of(services),
            names,
            view="cells",
            layout="paper",
            axes=(0, 1),
            window=40,
            patterns=("01", "", ""),
        )
        for part in shown
    ]
    flip = services.flip.flip(SMALL, "me", first, 0, (0,))
    hostile = replace(flip, after=tuple(replace(m, thumbnail=evil.thumbnail) for m in flip.after))
    for page in (*pages, flip_page(hostile, names)):
        assert "<script" not in page and 'onload="' not in page and "&lt;script" in page
        assert not re.search(r"<[a-z]+[^>]*<", page)
    plane = replace(services.subcodes.plane(SMALL, "me", first, 0, (0, 1)), class_names=(EVIL,) * 12)
    assert "<script" not in plane_figure(plane, "paper")


def test_actions_outside_what_exists_change_nothing(services: Services) -> None:
    now, info = Session(checkpoint=SMALL, tab="subcodes"), info_of(services)
    for do, values in (("show", {"name": "view", "value": "x"}), ("show", {"name": "image", "value": "x"}),
                       ("flip", {"bit": 99}), ("pick", {"image": "upload:x"}), ("nothing", {})):  # fmt: skip
        assert act_on_subcodes(now, info, do, values) == now
    assert act_on_subcodes(now, info, "window", {"value": 999}).window == 100
    assert act_on_subcodes(now, info, "concept", {"concept": 99}).concept == 2
    asked = act_on_subcodes(now, info, "cell", {"pattern": "01"})
    assert asked.patterns == ("01", "", "") and act_on_subcodes(asked, info, "cell", {"pattern": "01"}).patterns == ()

"""What render writes: pictures that say the right thing, and HTML in which no name can become markup."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from explorer.facet_records import Facet, FacetValue
from explorer.records import (
    BitCell,
    BitView,
    Center,
    Chip,
    ConceptView,
    Explanation,
    MapControls,
    Match,
    MatchResult,
    ModelInfo,
    Photo,
    Relaxation,
    Thumbnail,
    ThumbnailPage,
)
from explorer.render.cells import cells_page
from explorer.render.concept_card import concept_card
from explorer.render.explain import explanation_page
from explorer.render.facets import facet_panel
from explorer.render.flip import flip_page
from explorer.render.markup import action, count, percent, text, thumbnail_url
from explorer.render.match import match_page
from explorer.render.page import gallery_notice, status_line
from explorer.render.palette import concept_color
from explorer.render.pictures import map_rgba, map_strength
from explorer.render.query import image_in_hand, picker
from explorer.render.selection import selection_chips, selection_words
from explorer.subcode_records import CellGrid, Flip, Share, SubcodeCell

EVIL = "<script>alert('1')</script>\" onload=\"x"
BITS = (BitCell(0, 0.9, True, False), BitCell(1, -0.05, False, True))
CENTERS = (Center(EVIL, EVIL, 0.5), Center("wren", "wren", -0.5))
CLASSES, OTHERS = tuple(f"{i} {EVIL}" for i in range(12)), (("note", (EVIL, "x")),)
INFO = ModelInfo(EVIL, "cpu", 1, 2, 3, 2, (EVIL,), True, 9, EVIL, "examples", EVIL, CLASSES, (EVIL,), OTHERS)
PHOTO = Photo(f"gallery:{EVIL}", EVIL, EVIL, EVIL, 40, 30, np.zeros((30, 40, 3), np.uint8))
VIEW = ConceptView(0, np.full((2, 2), 0.25, np.float32), BITS, CENTERS, 0, 9, 1)
BIT_VIEW = BitView(BITS[0], 0, np.full((2, 2), 0.25, np.float32), CENTERS, (), 3, 9)
THUMBNAIL = Thumbnail(f"gallery:{EVIL}", EVIL, f"/t/{EVIL}.webp", 40, 30)
CHIPS_HTML = selection_chips((EVIL,), classes=(EVIL, EVIL), family=EVIL, patterns=(EVIL,), where=(f"{EVIL}={EVIL}",))
FACETS = (
    Facet("class", tuple(FacetValue(f"{i} {EVIL}", 1500 - i, i == 9) for i in range(10)), 12),
    Facet("family", (FacetValue(EVIL, 1, True),), 1),
    Facet("note", (FacetValue(EVIL, 0, True), FacetValue("x", 3, False)), 2),
)
CHIPS = (Chip(0, 0, 2), Chip(0, 1, 2))


def explained(bit: BitView | None = None) -> str:
    explanation = Explanation(PHOTO, CENTERS, (VIEW,), "rollout")
    return explanation_page(explanation, INFO, (EVIL,), MapControls(), concept=0, bit_view=bit)


def matched(*matches: Match, relaxations: tuple[Relaxation, ...] = (), agree: int = 0, **changes: int) -> str:
    counts = {"n_matching": len(matches), "n_filtered": 8, "n_gallery": 8, "n_carrying": 2, "page": 0, "n_pages": 1}
    result = MatchResult(matches, **(counts | changes), subcodes=("10",), relaxations=relaxations, facets=FACETS)
    return match_page(
        result,
        INFO,
        (EVIL,),
        agree=(agree,),
        weights=(10,),
        rank="weighted",
        classes=(EVIL,),
        family=EVIL,
        patterns=("1.",),
        where=(f"note={EVIL}",),
    )


def turned(n_with_code: int) -> str:
    found = (Match(THUMBNAIL, EVIL, 3, 3.0, CHIPS[1:]),)
    return flip_page(Flip(1, (1,), (0.1,), (1,), found, found, found[0], n_with_code, "1"), ("דרור", "wing"))


PAGES = {
    "explain": lambda: explained(),
    "bit": lambda: explained(BIT_VIEW),
    "match": lambda: matched(Match(THUMBNAIL, EVIL, 3, 3.0, CHIPS)),
    "no match": lambda: matched(relaxations=(Relaxation(EVIL, (1,), 4),)),
    "picker": lambda: picker(ThumbnailPage((THUMBNAIL,), 0, 2, 20, EVIL), THUMBNAIL.image, INFO, 25, CHIPS_HTML),
    "empty picker": lambda: picker(ThumbnailPage((), 0, 1, 0, EVIL), "", INFO, 25, ""),
    "hand": lambda: image_in_hand(PHOTO, BITS, INFO, (EVIL,)),
    "status": lambda: status_line(INFO),
    "notice": lambda: gallery_notice(INFO),
    "bundled notice": lambda: gallery_notice(replace(INFO, gallery_kind="bundled")),
}


class Tags(HTMLParser):
    """Collects tags and attributes, and whether every tag is closed."""

    void = frozenset({"img", "input", "path", "rect"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.buttons: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "button":
            self.buttons.append(dict(attrs))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_a_hostile_name_stays_text(page) -> None:  # type: ignore[no-untyped-def]
    tags = Tags(page())
    assert not tags.open
    assert "script" not in tags.names
    assert not {name for name in tags.attributes if name.startswith("on")}


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_every_button_is_a_button_and_sends_readable_values(page) -> None:  # type: ignore[no-untyped-def]
    for button in Tags(page()).buttons:
        assert button["type"] == "button"
        if "data-do" in button:
            assert isinstance(json.loads(button["data-with"] or ""), dict)


def test_a_bit_is_told_by_digit_and_word_never_by_color_alone() -> None:
    page = explained()
    assert "Bit 0 is 1, value +0.90, decided" in page
    assert "Bit 1 is 0, value -0.05, undecided" in page
    assert re.search(r">0<i aria-hidden=\"true\">\?</i></button>", page)


def test_agreement_is_told_by_shape_and_sign() -> None:
    page = matched(Match(THUMBNAIL, "wren", 3, 3.0, CHIPS))
    assert "is-same" in page and "✓" in page and "is-other" in page and "≠1" in page


def test_the_most_common_values_are_buttons_and_the_chosen_one_is_among_them() -> None:
    buttons = [button for button in Tags(matched()).buttons if button.get("class") == "ch-count"]
    sent = [json.loads(button["data-with"] or "") for button in buttons]
    assert [one["name"] for one in sent] == ["class"] * 5 + ["family", "note", "note"]
    assert [one["value"] for one in sent] == [*(f"{i} {EVIL}" for i in range(4)), "", "", "", "x"]
    assert [button["aria-pressed"] for button in buttons] == ["false"] * 4 + ["true"] * 3 + ["false"]
    page = matched()
    assert "1,500</span>" in page and ": 1 match&quot;" not in page and f'{text(EVIL)}: 1 match"' in page
    assert page.count("<option") == (1 + 12) + (1 + 1) + (1 + 2)


def test_a_page_without_facets_keeps_their_place() -> None:
    page = facet_panel((), INFO, classes=(), family="", where=())
    assert 'ch-count"' not in page
    assert [int(rows) for rows in re.findall(r"--rows: (\d+)", page)] == [5, 1, 2]


def test_no_match_says_why_and_offers_a_way_out() -> None:
    page = matched(relaxations=(Relaxation("Allow 1 more bit", (1,), 4),))
    assert "Nothing matches" in page and "Allow 1 more bit" in page and "4 matches" in page
    assert "No other image meets all of the conditions" in matched(n_filtered=0)


def test_pictures_that_are_no_photographs_are_said_to_be_none() -> None:
    info = replace(INFO, gallery_name="the aviary", n_gallery=1000, foreign_gallery="", name="aviary-32")
    bundled = gallery_notice(replace(info, gallery_kind="bundled"))
    assert "looking at the aviary: 1,000 rendered pictures, not photographs" in bundled
    assert "concepthash.encode --checkpoint checkpoints/aviary-32" in bundled and "--gallery my-gallery" in bundled
    assert "1,000 drawn example birds" in gallery_notice(info)
    assert gallery_notice(replace(info, gallery_kind="own")) == ""


def test_the_base_rate_counts_other_images() -> None:
    assert "2 of 8 other images (25 %) agree on" in matched(Match(THUMBNAIL, "wren", 3, 3.0, CHIPS))
    assert "all 8 other images are ranked" in matched(Match(THUMBNAIL, "wren", 3, 3.0, CHIPS), agree=-1)
    assert "2 of 8 images (25 %) agree on" in matched(Match(THUMBNAIL, "wren", 3, 3.0, CHIPS), has_query=True)


def test_what_must_differ_is_said() -> None:
    found = Match(THUMBNAIL, "wren", 3, 3.0, CHIPS)
    assert "2 of 8 other images (25 %) differ in" in matched(found, agree=-2)
    assert " differs in " in matched(agree=-2)


def test_a_map_is_clear_where_little_is_seen_and_opaque_at_its_peak() -> None:
    peaked = np.zeros((4, 6), np.float32)
    peaked[1, 4] = 1
    picture = map_rgba(peaked)
    assert picture.shape == (224, 224, 4)
    assert picture[84, 168, 3] > 240 and picture[200, 20, 3] == 0


def test_a_flat_map_stays_faint_and_a_broken_one_is_drawn() -> None:
    assert map_rgba(np.full((4, 4), 1 / 16, np.float32))[..., 3].max() < 90
    assert map_rgba(np.full((4, 4), np.nan, np.float32))[..., 3].max() == 0
    assert map_strength(np.full((4, 4), 0.1)) == pytest.approx(1)
    assert map_strength(np.zeros((4, 4))) == 0


def test_concepts_keep_apart_by_color_until_the_ninth() -> None:
    assert len({concept_color(m) for m in range(8)}) == 8 and concept_color(8) == concept_color(0)


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        (37, 1500, "2.5 %"),
        (1, 4, "25 %"),
        (0, 9, "0 %"),
        (0, 0, "0 %"),
        (9, 9, "100 %"),
        (1499, 1500, "over 99 %"),
        (1, 5000, "under 0.1 %"),
        (996, 10_000, "10 %"),
    ],
)
def test_shares_have_the_digits_they_deserve(part: int, whole: int, words: str) -> None:
    assert percent(part, whole) == words


def test_names_from_right_to_left_move_no_numbers_about() -> None:
    hand = image_in_hand(replace(PHOTO, family="דרור"), BITS, INFO, ("a",))
    assert "<bdi>דרור</bdi> · <bdi>40 × 30</bdi>" in hand
    words = selection_words(("דרור",), classes=(), family="", patterns=("01",))
    assert words == " with <bdi>דרור</bdi> = <code>01</code>"
    shares = (Share("דרור", 12), Share("יונה", 34))
    cells = tuple(SubcodeCell(code, code, 46, 0.5, 1.0, 0.3, shares, shares, ()) for code in ("0", "1"))
    assert '<bdi>יונה</bdi> <span class="ch-num">34</span>' in cells_page(CellGrid(0, (0,), cells, 92, ""), "", "paper")
    assert "of <bdi>דרור</bdi>, too" in turned(n_with_code=2)


def test_one_is_not_many() -> None:
    one = replace(INFO, n_concepts=1, n_bits=1, n_classes=1)
    assert {"<li>1 concept × 1 bit</li>", "<li>1 class</li>"} <= set(re.findall("<li>[^<]*</li>", status_line(one)))
    assert "4 concepts × 1 bit<" in status_line(replace(one, n_concepts=4, n_bits=4))
    assert "1 image has this sub-code" in turned(n_with_code=1)
    assert "2 images have this sub-code" in turned(n_with_code=2)
    card = concept_card(replace(VIEW, bits=BITS[:1]), "a", "")
    assert "1 bit, all sure" in card and "1 of 1 bit unsure" in concept_card(replace(VIEW, bits=BITS[1:]), "a", "")


def test_small_words_are_right() -> None:
    assert (count(1, "class"), count(2, "class")) == ("1 class", "2 classes")
    assert (count(1500), count(1, "bit"), count(2, "bit")) == ("1,500", "1 bit", "2 bits")
    assert text("<a b='\">") == "&lt;a b=&#x27;&quot;&gt;"
    assert action("pick", image='a"b') == 'data-do="pick" data-with="{&quot;image&quot;: &quot;a\\&quot;b&quot;}"'
    assert thumbnail_url("/a b/1.webp") == "gradio_api/file=/a%20b/1.webp"

"""Links: every field comes back as it went, and nothing that is not valid comes in."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.link import KEYS, MAX_LENGTH, UPLOADED, is_link, link_of, missing_of, screen_of, sentence_of, session_of
from explorer.link_fields import FIELDS, MAX_CLASSES, TABS, Known
from explorer.session import ANY, DIFFER, IGNORE, Session
from explorer.views.link import is_late, time_of

LEFT_OUT = {"names": "a visitor's own words, not ids"}  # fields that are in no link, and why
IMAGES = ("a/1.jpg", "b c/ü&=?#%41+.jpg", "..", "<script>", "0")
IMAGES += ("at 3.14\u202fPM.png", "a\u00a0b\u3000c", "\N{WOMAN}\u200d\N{MICROSCOPE}.jpg", "\u200fדרור\u202c")
KNOWN = Known(
    model="birds-8",
    first_image=IMAGES[0],
    has_image=IMAGES.__contains__,
    n_images=40,
    n_concepts=2,
    n_bits=8,
    n_blocks=4,
    classes=("marsh wren", "sooty tern", "<b>&wren", "crow"),
    families=("tern", "wren"),
    values=("split=test", "split=train", "note=a=b.c", "note=<i>&#"),
    centers=("crow", "marsh wren", 'Gull, "gray"'),
)
OTHER = dataclasses.replace(KNOWN, model="a b&c", n_concepts=3, n_bits=6, first_image="", has_image=lambda image: False)
START = Session("birds-8", "gallery:a/1.jpg")


def known_of(name: str) -> Known | None:
    return {known.model: known for known in (KNOWN, OTHER)}.get(name)


def read(query: str) -> tuple[Session, tuple[str, ...]]:
    return session_of(query, known_of, "birds-8")


def subset(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True).map(tuple)


def per_concept(item: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.just(()) | st.tuples(*[item] * KNOWN.n_concepts)


SESSIONS = st.builds(
    Session,
    checkpoint=st.just("birds-8"),
    image=st.sampled_from(IMAGES).map("gallery:".__add__),
    tab=st.sampled_from(TABS),
    concept=st.integers(-1, 1),
    bit=st.integers(-1, 7),
    method=st.sampled_from(("rollout", "raw", "gradient")),
    last_k=st.integers(0, 4),
    head_fusion=st.sampled_from(("mean", "max", "min")),
    residual=st.integers(0, 95),
    discard=st.integers(0, 95),
    agree=per_concept(st.integers(DIFFER, 4)),
    weights=per_concept(st.integers(0, 50)),
    pins=per_concept(st.sampled_from(("", *IMAGES)).map(lambda image: image and f"gallery:{image}")).map(
        lambda pins: pins if any(pins) else ()
    ),
    rank=st.sampled_from(("hamming", "weighted", "none")),
    page=st.integers(0, 40),
    classes=subset(KNOWN.classes),
    family=st.sampled_from(("", *KNOWN.families)),
    patterns=per_concept(st.just("") | st.text(f"01{ANY}", min_size=4, max_size=4)),
    where=st.tuples(*(st.sampled_from(pair) for pair in (KNOWN.values[:2], KNOWN.values[2:]))).flatmap(subset),
    browse=st.text(max_size=60).filter(str.isprintable),
    browse_page=st.integers(0, 40),
    view=st.sampled_from(("", "cells", "scatter", "dictionary")),
    layout=st.sampled_from(("paper", "poster")),
    axes=st.just(()) | st.permutations(range(4)).map(lambda bits: tuple(bits[:2])),
    window=st.integers(15, 100),
    flips=st.sets(st.integers(0, 7)).map(lambda bits: tuple(sorted(bits))),
    dictionary_page=st.integers(0, 40),
    center=st.sampled_from(("", *KNOWN.centers)),
    projection=st.sampled_from(("tsne", "pca")),
    grouping=st.sampled_from(("name", "taxonomy")),
    overlay=st.integers(0, 1),
    links=st.integers(0, 1),
    names=st.just(()),
)


@given(SESSIONS)
def test_a_session_comes_back_from_its_link_as_it_was(session: Session) -> None:
    link = link_of(session, KNOWN)
    assert read(link) == (session, ())
    assert read(f"?__theme=dark&{link}&view=x") == (session, ())


@given(SESSIONS)
def test_a_link_holds_only_signs_that_survive_being_pasted(session: Session) -> None:
    link = link_of(session, KNOWN)
    assert link.isascii() and not set(link) & set(" <>\"'#\\`{}|^")


@given(st.text(max_size=300) | st.lists(st.tuples(st.sampled_from(KEYS), st.text(max_size=30))).map(
    lambda pairs: "v=1&" + "&".join(f"{key}={value}" for key, value in pairs)))  # fmt: skip
def test_whatever_a_query_says_a_session_comes_out_whose_link_is_stable(query: str) -> None:
    session, problems = read(query)
    known = known_of(session.checkpoint)
    assert known is not None
    assert read(link_of(session, known))[0] == session
    assert all(problem in sentence_of(problems) for problem in problems[:1])


def test_every_field_of_a_session_is_in_the_link_or_left_out_on_purpose() -> None:
    fields = {field.name for field in dataclasses.fields(Session)}
    assert fields == set(FIELDS) | set(LEFT_OUT) | {"checkpoint"}
    assert not set(FIELDS) & set(LEFT_OUT)
    assert len(set(KEYS)) == len(KEYS) == len(FIELDS) + 3
    covered = set(SESSIONS.wrapped_strategy.kwargs)  # type: ignore[attr-defined]
    assert covered == fields, "the property above must vary every field"


def test_a_link_says_only_what_differs() -> None:
    assert link_of(START, KNOWN) == "v=1&m=birds-8&i=a/1.jpg"
    asked = START.replace(tab="match", concept=1, agree=(IGNORE, 2), classes=("crow",), patterns=("01..", ""))
    assert link_of(asked, KNOWN) == "v=1&m=birds-8&i=a/1.jpg&t=match&c=1&a=o.2&cl=3&pt=01xx.o"


def test_a_page_without_a_link_starts_with_the_first_image() -> None:
    assert read("") == read("__theme=dark&i=0&t=match") == (START, ())
    assert not is_link("m=birds-8&xv=1") and is_link("?v=2")


@pytest.mark.parametrize(
    ("part", "word"),
    [
        ("i=c/9.jpg", "the image"),
        ("i=gallery:a/1.jpg", "the image"),
        ("i=", "the image"),
        ("i=a/1.jpg&i=a/1.jpg", "the image"),
        ("t=admin", "the tab"),
        ("c=2", "the concept"),
        ("c=-1", "the concept"),
        ("c=١", "the concept"),
        ("c=01", "the concept"),
        ("c=1e0", "the concept"),
        ("c=99999999999999999999", "the concept"),
        ("b=8", "the bit"),
        ("b=1&b=1", "the bit"),
        ("me=evil", "how maps are made"),
        ("k=5", "the blocks"),
        ("h=median", "the heads"),
        ("rs=96", "the residual"),
        ("d=100", "the discarded share"),
        ("a=0", "what must agree"),
        ("a=0.5", "what must agree"),
        ("a=0.0.0", "what must agree"),
        ("w=10.51", "the weights"),
        ("pi=|", "the images of single concepts"),
        ("pi=a/1.jpg", "the images of single concepts"),
        ("pi=|nowhere.jpg", "the images of single concepts"),
        ("pi=upload:1|", "the images of single concepts"),
        ("r=best", "the ranking"),
        ("p=41", "the page"),
        ("cl=4", "the chosen classes"),
        ("cl=1.1", "the chosen classes"),
        ("cl=", "the chosen classes"),
        ("f=2", "the chosen family"),
        ("wh=4", "the chosen values"),
        ("wh=0.1", "the chosen values"),
        ("wh=split=test", "the chosen values"),
        ("pt=01xx", "the chosen sub-codes"),
        ("pt=01x.o", "the chosen sub-codes"),
        ("pt=01x2.o", "the chosen sub-codes"),
        ("pt=01...o", "the chosen sub-codes"),
        ("q=" + 61 * "a", "the search"),
        ("q=%00", "the search"),
        ("q=a%0Ab", "the search"),
        ("q=%E2%80%AE", "the search"),
        ("q=%FF%FE", "the search"),
        ("n=-1", "the page of the strip"),
        ("vw=table", "the view"),
        ("l=book", "the layout"),
        ("x=1.1", "the two bits"),
        ("x=1", "the two bits"),
        ("x=0.4", "the two bits"),
        ("wi=14", "the size of the crops"),
        ("fl=3.1", "the turned bits"),
        ("fl=8", "the turned bits"),
        ("dp=x", "the page of the dictionary"),
        ("z=3", "the clicked class"),
        ("pr=umap", "the projection"),
        ("g=color", "the grouping"),
        ("o=2", "the drawn images"),
        ("ln=2", "the lines"),
    ],
)
def test_what_is_not_valid_is_left_out_and_named(part: str, word: str) -> None:
    session, problems = read(f"v=1&m=birds-8&rs=40&{part}" if not part.startswith("rs") else f"v=1&{part}")
    assert session == (START if part.startswith("rs") else START.replace(residual=40))
    assert problems == (word,)
    assert sentence_of(problems) == f"This link was opened without what could not be used: {word}."


def test_every_kind_of_value_is_tried_above() -> None:
    mark = next(m for m in test_what_is_not_valid_is_left_out_and_named.pytestmark if m.name == "parametrize")
    assert {part.split("=")[0] for part, _ in mark.args[1]} == {field.key for field in FIELDS.values()}


@pytest.mark.parametrize("model", ["eagles-9", "", "../../etc", "birds-8&m=birds-8", "%FF", "birds-8%00"])
def test_without_its_model_only_what_needs_none_is_taken(model: str) -> None:
    session, problems = read(f"v=1&m={model}&i=0&c=1&t=match&l=poster&cl=0")
    assert session == START.replace(tab="match", layout="poster")
    assert problems == ("the model",)


def test_another_model_is_read_with_its_own_numbers() -> None:
    session, problems = read("v=1&m=a%20b%26c&c=2&a=o.2.0&k=4")
    assert (session.checkpoint, session.image, session.concept, session.agree) == ("a b&c", "", 2, (IGNORE, 2, 0))
    assert problems == ()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("v=2&m=birds-8&t=match", "another version"),
        ("v=&t=match", "another version"),
        ("v=1&v=1&t=match", "another version"),
        ("v=1&t=match&q=" + "a" * 100_000, "too long"),
        ("v=long", "too long"),
        ("v=1&t=match" + "&c=1" * 100_000, "too long"),
    ],
)
def test_a_link_that_cannot_be_read_at_all_says_so_once(query: str, why: str) -> None:
    session, problems = read(query)
    assert session == START and len(problems) == 1
    assert sentence_of(problems).startswith("This link could not be used: ") and why in sentence_of(problems)


def test_many_problems_make_one_short_sentence_without_what_was_sent() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    _, problems = read("v=1&" + "&".join(f"{field.key}={hostile}" for field in FIELDS.values() if field.key != "q"))
    assert len(problems) == len(FIELDS) - 1
    sentence = sentence_of(problems)
    assert "onerror" not in sentence and sentence.count(".") == 1
    assert sentence.endswith(f" and {len(FIELDS) - 5} more.")
    assert sentence_of(()) == ""


def test_an_upload_is_left_out_and_said_to_be() -> None:
    mine = dataclasses.replace(START, image="upload:" + "a" * 32, tab="match")
    link = link_of(mine, KNOWN)
    assert link == "v=1&m=birds-8&u=1&t=match" and missing_of(mine, KNOWN) == "your uploaded image"
    assert read(link) == (START.replace(tab="match"), (UPLOADED,))
    assert missing_of(START, KNOWN) == ""


def test_what_no_link_can_hold_is_left_out_of_it() -> None:
    odd = START.replace(concept=7, tab="admin", classes=("nobody",), agree=(0,), browse="a\nb", page=9999)
    assert link_of(odd, KNOWN) == link_of(START, KNOWN)
    assert missing_of(odd, KNOWN).endswith("the page, the chosen classes and the search")
    many = dataclasses.replace(KNOWN, classes=tuple(f"class {n}" for n in range(2000)))
    chosen = START.replace(classes=many.classes[-MAX_CLASSES:])
    assert len(link_of(chosen, many)) < MAX_LENGTH and missing_of(chosen, many) == ""
    assert session_of(link_of(chosen, many), lambda name: many, "birds-8") == (chosen, ())
    more = START.replace(classes=many.classes[: MAX_CLASSES + 1])
    assert link_of(more, many) == link_of(START, KNOWN) and missing_of(more, many) == "the chosen classes"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"pins": ("", "gallery:a|b")}, "the images of single concepts"),
        ({"browse": "marsh\u3000wren"}, "the search"),
        ({"image": "gallery:a\nb"}, "the image"),
        ({"image": "gallery:\udcff"}, "the image"),
    ],
)
def test_what_a_link_leaves_out_is_named(change: dict[str, Any], word: str) -> None:
    known = dataclasses.replace(KNOWN, has_image=lambda image: True)
    now = START.replace(**change)
    assert missing_of(now, known) == word
    assert f"{link_of(now, known)}&".startswith("v=1&m=birds-8&")
    both = now.replace(classes=("nobody",))
    assert set(missing_of(both, known).split(" and ")) == {word, "the chosen classes"}


@pytest.mark.parametrize("change", [{"tab": "match"}, {"image": "gallery:0"}, {"concept": 1}, {"center": "crow"},
                                    {"view": "scatter"}, {"checkpoint": "b"}])  # fmt: skip
def test_another_screen_is_another_step_of_back_and_forward(change: dict[str, str]) -> None:
    assert screen_of(START.replace(**change)) != screen_of(START)
    assert screen_of(START.replace(page=2, agree=(0, 0), method="raw", window=60)) == screen_of(START)


def test_a_browser_that_has_not_seen_the_newest_restore_is_late() -> None:
    assert is_late('{"number": 1}', 2) and not is_late('{"number": 2}', 2)
    assert not any(is_late(junk, 2) for junk in ("", "[]", '{"number": []}', "null", '{"number": "x"}'))


def test_the_time_of_a_click_is_a_number_whatever_the_browser_says() -> None:
    assert time_of('{"number": 1, "time": 812.5}') == 812.5
    junk = ("", "[]", "null", '{"time": []}', '{"time": "x"}', '{"time": NaN}', '{"time": Infinity}')
    assert {time_of(words) for words in junk} == {0.0}

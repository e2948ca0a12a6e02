"""Actions of the views: what a click makes of a session, and what a browser cannot make of it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from fake_training import FakeTraining

from concepthash.errors import QueryError
from explorer.records import ModelInfo
from explorer.session import DIFFER, IGNORE, Session
from explorer.training_records import Plan
from explorer.ui import build_theme
from explorer.views.explain import act_on_explain, controls_of, names_in
from explorer.views.guard import guarded, in_place
from explorer.views.match import act_on_match, parts_of
from explorer.views.query import act_on_query
from explorer.views.surface import send_of
from explorer.views.train_draft import Draft, act_on_draft
from explorer.views.train_files import receive_images

INFO = ModelInfo("m", "cpu", 2, 8, 3, 4, ("a", "b"), False, 9, "g", "own", facet_values=(("split", ("test", "train")),))
START = Session("m", "gallery:x")


@pytest.mark.parametrize(
    ("do", "values", "changes"),
    [
        ("concept", {"concept": 1}, {"concept": 1}),
        ("concept", {"concept": 7}, {}),
        ("bit", {"bit": 5}, {"bit": 5, "concept": 1}),
        ("bit", {"bit": 99}, {}),
        ("match", {"concept": 0, "radius": 2}, {"agree": (2, IGNORE), "concept": 0, "tab": "match"}),
        ("control", {"name": "method", "value": "raw"}, {"method": "raw"}),
        ("control", {"name": "method", "value": "evil"}, {}),
        ("control", {"name": "last_k", "value": "2"}, {"last_k": 2}),
        ("control", {"name": "residual", "value": 4000}, {"residual": 95}),
        ("control", {"name": "image", "value": "gallery:y"}, {}),
        ("rename", {"concept": 1, "name": "wing"}, {"names": ("a", "wing")}),
        ("names", {"text": '{"names": ["x", "y"]}'}, {"names": ("x", "y")}),
        ("launch", {}, {}),
    ],
)
def test_what_a_click_on_explain_changes(do: str, values: dict[str, Any], changes: dict[str, Any]) -> None:
    assert act_on_explain(START, INFO, do, values) == replace(START, **changes)


@pytest.mark.parametrize(
    ("do", "values", "changes"),
    [
        ("rule", {"concept": 1, "radius": 99}, {"agree": (IGNORE, 4)}),
        ("all", {"radius": 0}, {"agree": (0, 0)}),
        ("pin", {"concept": 1, "keep": True}, {"pins": ("", "gallery:x")}),
        ("pin", {"concept": 5, "keep": True}, {}),
        ("pin", {"concept": 1, "keep": False}, {}),
        ("weight", {"concept": 0, "value": "25"}, {"weights": (25, 10)}),
        ("rank", {"value": "none"}, {"rank": "none"}),
        ("rank", {"value": "evil"}, {}),
        ("filter", {"name": "family", "value": "wren"}, {"family": "wren"}),
        ("filter", {"name": "class", "value": "marsh wren"}, {"classes": ("marsh wren",)}),
        ("filter", {"name": "class", "value": ""}, {}),
        ("filter", {"name": "split", "value": "test"}, {"where": ("split=test",)}),
        ("filter", {"name": "split", "value": ""}, {}),
        ("filter", {"name": "split", "value": "evil"}, {}),
        ("filter", {"name": "row", "value": "test"}, {}),
        ("relax", {"agree": [1, 2], "keeps_filter": True}, {"agree": (1, 2)}),
        ("page", {"page": -3}, {"page": 0}),
        ("pick", {"image": "gallery:y"}, {"image": "gallery:y"}),
        ("explain", {"image": "gallery:y"}, {"image": "gallery:y", "tab": "explain"}),
    ],
)
def test_what_a_click_on_match_changes(do: str, values: dict[str, Any], changes: dict[str, Any]) -> None:
    assert act_on_match(START, INFO, do, values) == replace(START, **changes)


def test_what_a_click_above_the_tabs_changes() -> None:
    assert act_on_query(START, "pick", {"image": "gallery:y"}).image == "gallery:y"
    searched = act_on_query(replace(START, browse_page=3), "browse", {"search": "w" * 99})
    assert searched == replace(START, browse="w" * 60)
    assert act_on_query(START, "turn", {"page": 2}).browse_page == 2


def test_controls_are_shares_not_percent() -> None:
    assert controls_of(Session(residual=40, discard=25)).residual == 0.4


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"names": "x"}', "not json", "null"])
def test_a_file_without_names_gives_none(content: str) -> None:
    assert names_in(content) == ()


@pytest.mark.parametrize("data", [None, [], {"do": 3}, {"do": "x", "values": [1]}])
def test_what_a_browser_sends_is_read_with_care(data: Any) -> None:
    do, values = send_of(gr.EventData(None, data))
    assert isinstance(do, str) and values == {}


def test_an_error_is_a_sentence_in_place_and_a_surprise_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @guarded(in_place)
    def ask(wrong: Exception) -> str:
        raise wrong

    assert "&lt;b&gt; is wrong." in ask(QueryError("<b> is wrong."))
    answer = ask(ZeroDivisionError("secret"))
    assert "secret" not in answer and "Something went wrong" in answer and "secret" in caplog.text


def test_the_theme_fetches_no_font() -> None:
    theme = build_theme()
    assert not [font for font in (*theme._font, *theme._font_mono) if "Google" in type(font).__name__]


@pytest.mark.parametrize(
    ("pins", "agree", "parts"),
    [
        ((), (0, DIFFER), []),
        (("", "gallery:y"), (0, IGNORE), []),
        (("gallery:x", "gallery:x"), (0, 0), []),
        (("", "gallery:y"), (IGNORE, 2), [("gallery:y", 1, 2, None)]),
        (("gallery:y", ""), (0, DIFFER), [("gallery:y", 0, None, None), ("gallery:x", 1, None, True)]),
    ],
)
def test_a_question_is_composed_where_an_asked_concept_is_of_another_image(
    pins: tuple[str, ...], agree: tuple[int, ...], parts: list[tuple[Any, ...]]
) -> None:
    names = ("image", "concept", "radius", "differs")
    expected = [{k: v for k, v in zip(names, part, strict=True) if v is not None} for part in parts]
    assert parts_of(START.replace(pins=pins), agree) == expected


def test_added_classes_are_checked_again_once_one_is_removed_and_not_at_other_clicks(tmp_path: Path) -> None:
    photo, visitor = tmp_path / "a.png", SimpleNamespace(session_hash="visitor")
    photo.write_bytes(b"")
    training = FakeTraining([np.zeros((2, 2, 3), np.uint8)], "m", photo, ())
    listeners: dict[str, Any] = {}

    def listen(listener: Any, *_: Any, **__: Any) -> Any:
        listeners[listener.__name__] = listener
        return part

    part: Any = SimpleNamespace(upload=listen, act=listen, then=listen)
    parts: Any = SimpleNamespace(zip=part, images=part, data=part)
    receive_images(SimpleNamespace(training=training), parts, *[gr.State()] * 3, part)  # type: ignore[arg-type]
    draft = Draft(Plan("", "m")).with_files("marsh_wren", [str(photo)] * 5).with_files("tern?", [str(photo)])
    told, number, names = listeners["check_files"](draft, {}, 0, visitor)
    assert "cannot be the name of a folder" in told["files"].problems[0]
    draft = act_on_draft(draft, "remove", {"name": "tern?"}, (), ())
    told, number, names = listeners["after_removal"](draft, told, number, names, visitor)
    assert [one.name for one in told["files"].classes] == ["marsh wren"] and number == 2
    assert listeners["after_removal"](draft, told, number, names, visitor) == (gr.skip(),) * 3
    assert training.forgotten == []


def test_what_comes_while_a_check_runs_is_checked_after_it() -> None:
    modes: dict[str, Any] = {}

    def listen(listener: Any, *_: Any, **options: Any) -> Any:
        modes[listener.__name__] = options.get("trigger_mode")
        return part

    part: Any = SimpleNamespace(upload=listen, act=listen, then=listen)
    parts: Any = SimpleNamespace(zip=part, images=part, data=part)
    receive_images(SimpleNamespace(), parts, *[gr.State()] * 3, part)  # type: ignore[arg-type]
    assert [modes[name] for name in ("check_zip", "check_files", "after_removal")] == ["always_last"] * 3

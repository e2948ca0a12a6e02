"""Step by step: what the Train tab writes, that nothing sent is markup, and what every click makes of a draft."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from explorer.render.train_curves import accuracy_curve, loss_curves
from explorer.render.train_data import PER_PAGE, data_step, data_summary
from explorer.render.train_flow import flow_card
from explorer.render.train_maps import both_maps, watched_maps
from explorer.render.train_plan import CONCEPTS, EPOCHS, PER_CONCEPT, TOP_WEIGHT, estimate_line, plan_step, plan_summary
from explorer.render.train_result import download_line, result_detail, result_step, result_summary
from explorer.render.train_run import run_log, run_step, run_summary
from explorer.render.train_steps import STATES, STEPS, clock, duration, runs_bar, step
from explorer.training_records import (
    ClassPreview,
    ConceptFlow,
    Curve,
    IntakeReport,
    MapFrame,
    Plan,
    RunResult,
    RunStatus,
)
from explorer.views.train import act_on_train
from explorer.views.train_draft import Draft, act_on_draft, name_of_zip
from explorer.views.train_models import _server_of_folders, menu_of
from explorer.views.train_pages import look_at

EVIL = "<script>alert('1')</script>\" onload=\"x"
PLAN = Plan("here", "birds-64")
DRAFT = Draft(PLAN)
RGB = np.full((20, 30, 3), 90, np.uint8)


class Tags(HTMLParser):
    """All tags of a page, and whether each that was opened was closed, too."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        self.attributes += attrs
        if tag not in ("img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open[-1:] == [tag]:
            self.open.pop()
        else:
            assert tag in ("path", "rect"), f"{tag} closed inside {self.open}"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs


def report(n_classes: int = 2, *problems: str) -> IntakeReport:
    classes = tuple(ClassPreview(f"{EVIL} {i}", 7, 1, (b"a picture",) * 2) for i in range(n_classes))
    return IntakeReport("here", classes, 7 * n_classes, 2, (EVIL,), (EVIL,), problems, (EVIL,), 1)


def status(state: str = "training", **changes: object) -> RunStatus:
    curves = (Curve("clf", (1, 2), (2.0, 1.0)), Curve(EVIL, (1, 2), (0.5, 0.25)), Curve("total", (1, 2), (9.0, 4.5)))
    known = RunStatus(
        "run", EVIL, state, EVIL, 2, 10, 0.2, 65.0, 130.0, 0, curves, Curve("mAP", (2,), (0.5,)), frames(), (EVIL,)
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def frames() -> tuple[MapFrame, ...]:
    return tuple(MapFrame(2, RGB, np.full((3, 4, 4), 1 / 16, np.float32)) for _ in range(3))


def flow() -> ConceptFlow:
    return ConceptFlow(EVIL, ("0011", "1100", EVIL), ("1100", "0011"), np.array([[4, 0], [1, 3], [0, 2]]), 0.5)


def result(before: tuple[float, float, float] | None = (0.31, 0.27, 0.36)) -> RunResult:
    return RunResult("run", "run-x", before, (0.84, 0.79, 0.88), (flow(),), frames(), frames(), 4.2)


def shown(found: IntakeReport | None, **changes: object) -> str:
    asked = {"source": "zip", "files": [(EVIL, 3)], "class_name": EVIL, "folders": (EVIL,), "page": 0}
    return data_step(found, max_zip_bytes=200_000_000, **(asked | changes))  # type: ignore[arg-type]


def every_page() -> list[str]:
    plans = plan_step(replace(PLAN, weights=((EVIL, 1.5),)), EVIL, (EVIL,), ((EVIL, EVIL),), ((EVIL, 1.0, EVIL),))
    return [
        *(shown(report(2), source=source) for source in ("zip", "files", "folder")),
        shown(report(2, EVIL)),
        plans,
        estimate_line(EVIL),
        *(run_step(status(state), is_confirming=asks) for state in STATES for asks in (False, True)),
        run_log(status()),
        watched_maps(frames()),
        result_step(result()),
        result_step(result(None)),
        result_detail(result()),
        download_line(f"/{EVIL}.zip", EVIL, 10, "x"),
        runs_bar([(EVIL, EVIL, EVIL)], EVIL),
        *(step(name, EVIL and "", is_open=True, can_open=True, summary=EVIL) for name in STEPS),
    ]  # fmt: skip


def test_nothing_that_was_sent_becomes_markup() -> None:
    for page in every_page():
        tags = Tags(page)
        assert not [name for name, _ in tags.attributes if name.startswith("on")]
        assert "alert(" not in page.replace("alert(&#x27;1&#x27;)", "")


def test_problems_come_first_and_forbid_to_go_on() -> None:
    page = shown(report(1, "There is only one class; at least 2 are needed."))
    assert page.index("only one class") < page.index("ch-previews")
    assert "Plan the training" not in page and data_summary(report(1, "x")) == "needs a look"
    assert "Plan the training" in shown(report(2)) and data_summary(report(2)) == "2 classes, 14 images"


def test_a_class_is_shown_by_the_pictures_that_were_kept_of_it() -> None:
    assert shown(report(1)).count('<img src="data:image/webp;base64,YSBwaWN0dXJl" alt="">') == 2


def test_what_is_repeated_or_unreadable_is_counted_and_not_only_listed() -> None:
    found = IntakeReport("here", (ClassPreview("wren", 7, 5_000),), 7, 2, (EVIL,) * 200, (EVIL,) * 200, (), (), 1_000)
    page = shown(found)
    assert "Repeated: 1,000 files" in page and "and 980 more" in page
    assert "Unreadable: 5,000 files" in page and "and 4,980 more" in page


def test_each_class_shows_its_count_and_three_places_for_pictures() -> None:
    page = shown(report(2))
    assert page.count("7 images · 1 unreadable") == 2
    assert (
        page.count('<div class="ch-trio">') == 2
        and page.count("<img ") == 4
        and page.count('<i aria-hidden="true">') == 2
    )


def test_many_classes_are_turned_in_pages_and_a_page_out_of_range_is_the_last() -> None:
    found = report(2 * PER_PAGE + 1)
    assert shown(found).count("ch-trio") == PER_PAGE
    assert shown(found, page=99).count("ch-trio") == 1


def test_without_an_operators_folder_there_is_no_such_way() -> None:
    assert "On this server" in shown(None) and "On this server" not in shown(None, folders=(), source="folder")


def test_every_choice_of_bits_is_a_multiple_of_the_concepts() -> None:
    for concepts in CONCEPTS:
        page = plan_step(Plan("", "a", concepts, 4 * concepts), "", ("a",), (("none", "None"),), ())
        bits = re.search(r'data-with="\{&quot;name&quot;: &quot;n_bits&quot;\}".*?</select>', page)
        assert bits is not None
        values = [int(value) for value in re.findall(r'<option value="(\d+)"', bits[0])]
        assert values == [concepts * size for size in PER_CONCEPT]


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0.2, "under a minute"),
        (1.0, "about a minute"),
        (6.2, "about 6 minutes"),
        (100, "about 1 h 40 min"),
        (120, "about 2 h"),
    ],
)
def test_minutes_are_written_as_people_say_them(minutes: float, words: str) -> None:
    assert duration(minutes) == words
    assert words.capitalize() in estimate_line(minutes)


def test_a_clock_has_hours_only_where_there_are_some() -> None:
    assert [clock(s) for s in (42, 725, 3723, -1)] == ["0:42", "12:05", "1:02:03", "0:00"]


def points_of(page: str) -> list[list[tuple[float, float]]]:
    lines = re.findall(r'points="([^"]*)"', page)
    return [[tuple(float(v) for v in pair.split(",")) for pair in line.split()] for line in lines]  # type: ignore[misc]


def test_a_falling_loss_falls_and_stays_inside_its_own_picture() -> None:
    page = loss_curves(status().curves, 10)
    for line in points_of(page):
        assert line[0][1] < line[-1][1] and all(0 <= x <= 200 and 0 <= y <= 64 for x, y in line)
    assert re.findall(r"<output>([^<]*)</output>", page) == ["4.50", "1.00", "0.25"]  # the total first


def test_the_axis_of_epochs_does_not_move_while_a_run_goes_on() -> None:
    early = points_of(loss_curves([Curve("clf", (1, 2), (2.0, 1.0))], 11))[0]
    late = points_of(loss_curves([Curve("clf", (1, 2, 3), (2.0, 1.0, 0.5))], 11))[0]
    assert [x for x, _ in early] == [0, 20] and [x for x, _ in late] == [0, 20, 40]


def test_a_curve_may_stand_still_be_negative_or_hold_no_number() -> None:
    for values in ((1.0, 1.0), (0.0, 0.0), (-1.0, 2.0), (float("nan"), 1.0), (float("inf"),) * 2):
        page = loss_curves([Curve("clf", (1, 2), values)], 2)
        assert "nan" not in " ".join(re.findall(r'points="[^"]*"', page))
        assert all(0 <= y <= 64 for line in points_of(page) for _, y in line)


@pytest.mark.parametrize(
    ("values", "bottom"), [((0.0, 0.0), "0"), ((0.0, 3.0), "0"), ((1.0, 2.0), "0"), ((1.9, 2.0), "1.90")]
)
def test_a_scale_begins_at_zero_where_that_wastes_little(values: tuple[float, float], bottom: str) -> None:
    assert f'<span class="is-bottom">{bottom}</span>' in loss_curves([Curve("sep", (1, 2), values)], 2)


def test_the_map_curve_has_its_place_before_it_has_a_value() -> None:
    empty, full = accuracy_curve(None, 5), accuracy_curve(Curve("mAP", (5,), (1.0,)), 5)
    assert "<output>–</output>" in empty and "<polyline" not in empty
    assert points_of(full) == [[(200.0, 0.0)]]


def test_the_buttons_are_those_that_the_state_allows() -> None:
    def buttons(state: str) -> list[str]:
        return re.findall(r'data-do="(\w+)"', run_step(status(state)))

    assert buttons("queued") == ["stop", "ask_delete"]
    assert buttons("training") == ["stop"] and buttons("finishing") == []
    assert buttons("stopped") == buttons("failed") == ["resume", "ask_delete"]
    assert buttons("done") == ["step", "ask_delete"]
    assert re.findall(r'data-do="(\w+)"', run_step(status("done"), is_confirming=True)) == ["delete", "keep"]


def test_a_waiting_run_says_its_place_once() -> None:
    waiting = status("queued", said="Another run is training.", ahead=2)
    assert "2 runs before yours" in run_step(waiting) and "2 runs before yours" in run_summary(waiting)
    assert "before yours" not in run_step(replace(waiting, said="2 others come first."))


def test_the_progress_never_leaves_its_bar() -> None:
    assert 'aria-valuenow="100"' in run_step(status(share=1.7)) and 'aria-valuenow="0"' in run_step(status(share=-1.0))


def test_maps_stand_in_a_column_per_concept_and_before_beside_after() -> None:
    assert watched_maps(frames()).count('class="ch-map"') == 9
    assert both_maps(frames(), frames()).count("<table>") == 2 and both_maps((), frames()).count("<table>") == 1


def test_the_bands_of_a_flow_fill_its_bars() -> None:
    page = flow_card(flow(), 0)
    Tags(page)
    assert page.count('class="ch-band') == 4 and page.count('class="ch-flowbar"') == 5
    assert "50 % moved" in page and "0011 to 1100: 4 images" in page


def test_an_empty_flow_is_drawn_without_a_division_by_zero() -> None:
    Tags(flow_card(ConceptFlow("c", ("0",), ("1",), np.zeros((1, 1), int), 0.0), 1))
    Tags(flow_card(ConceptFlow("c", (), (), np.zeros((0, 0), int), 0.0), 1))


def test_a_result_says_when_a_difference_may_be_chance() -> None:
    assert "rose from 0.31 to <strong>0.84" in result_step(result()) and "chance" not in result_step(result())
    assert "chance" in result_step(result((0.8, 0.75, 0.85))) and "fell" in result_step(result((0.9, 0.89, 0.91)))
    assert result_summary(result()) == "mAP 0.31 → 0.84" and result_summary(result(None)) == "mAP 0.84"


def did(draft: Draft, do: str, **values: object) -> Draft:
    return act_on_draft(draft, do, values, ("birds-64", "cars"), ("none", "minilm"))


def test_choices_change_only_themselves() -> None:
    assert did(DRAFT, "plan", name="start", value="cars").plan == replace(PLAN, start="cars")
    assert did(DRAFT, "plan", name="language", value="minilm").plan.language == "minilm"
    assert did(DRAFT, "plan", name="epochs", value="9999").plan.epochs == EPOCHS[1]
    assert did(DRAFT, "plan", name="n_bits", value="64").plan.n_bits == 64
    eight = did(DRAFT, "plan", name="n_concepts", value="8").plan
    assert (eight.n_concepts, eight.n_bits) == (8, 64)
    assert did(DRAFT, "plan", name="name", value=" mine ").name == "mine"


@pytest.mark.parametrize(
    ("do", "values"),
    [
        ("plan", {"name": "start", "value": "../x"}),
        ("plan", {"name": "n_bits", "value": "33"}),
        ("plan", {"name": "n_concepts", "value": "7"}),
        ("plan", {"name": "epochs", "value": "-1"}),
        ("plan", {"name": "epochs", "value": "many"}),
        ("plan", {"name": "intake", "value": "theirs"}),
        ("source", {"name": "ftp"}),
        ("step", {"name": "fifth"}),
        ("choose", {"run": "another's"}),
        ("dance", {}),
    ],
)
def test_what_is_not_on_offer_changes_nothing(do: str, values: dict[str, str]) -> None:
    assert did(DRAFT, do, **values) == DRAFT


def test_weights_stay_in_range_and_go_back_to_the_preset() -> None:
    weighed = did(did(DRAFT, "weigh", term="clf", value="15"), "weigh", term="csd", value="9999")
    assert weighed.plan.weights == (("clf", 1.5), ("csd", TOP_WEIGHT))
    assert did(weighed, "unweigh").plan.weights == ()


def test_files_of_one_class_add_up_and_a_class_without_a_name_gets_one() -> None:
    draft = DRAFT.with_files("wren", ["a", "b"]).with_files(" wren ", ["c"]).with_files("", ["d"]).with_files("", ["e"])
    assert draft.files == (("wren", ("a", "b", "c")), ("class 1", ("d",)), ("class 2", ("e",)))
    assert did(draft, "remove", name="wren").files == draft.files[1:]


def test_steps_open_and_close_and_keep_what_was_entered() -> None:
    draft = did(did(DRAFT, "class_name", value="tern"), "step", name="plan")
    assert (draft.step, draft.class_name) == ("plan", "tern")
    assert did(draft, "step", name="plan").step == "" and did(draft, "step", name="data").class_name == "tern"


def test_a_run_is_deleted_only_after_it_was_asked_and_looking_elsewhere_takes_that_back() -> None:
    draft = DRAFT.replace(name="mine").with_run("token")
    asked = did(draft, "ask_delete")
    assert asked.deleting == "token" and did(asked, "step", name="data").deleting == "" == did(asked, "keep").deleting
    assert (
        draft.runs == (("token", "mine"),) and draft.without_run("token").runs == () == draft.without_run("token").runs
    )


def test_a_draft_can_be_hashed_so_that_its_change_is_seen() -> None:
    assert hash(DRAFT) != hash(DRAFT.with_run("token"))


def test_names_come_from_files_and_menus_list_ones_own_last() -> None:
    assert name_of_zip("folder/my_garden_birds.zip") == "my garden birds"
    assert name_of_zip(r"C:\x\.zip") == "my model" == name_of_zip("")
    assert menu_of(("a", "b"), (("token", "mine", "run-1"),)) == [("a", "a"), ("b", "b"), ("mine", "run-1")]


def test_images_that_are_gone_are_said_to_be_so_on_the_first_step() -> None:
    gone = SimpleNamespace(training=SimpleNamespace(keeps=lambda visitor, intake: False))
    look = look_at(gone, DRAFT.replace(step="plan"), {"zip": report(2)}, "visitor")  # type: ignore[arg-type]
    assert look.open == "data" and look.report is not None and look.plan_to_run.intake == ""
    assert look.report.problems == ("These images are no longer kept here; send them again.",)


def test_a_second_click_starts_no_second_run() -> None:
    started: list[str] = []
    training = SimpleNamespace(
        start=lambda visitor, plan, name: started.append(name) or f"token {len(started)}",
        starts=lambda: ("birds-64",),
        languages=lambda: (),
    )
    draft = DRAFT.replace(step="plan")
    for _ in range(2):
        draft = act_on_train(SimpleNamespace(training=training), draft, {"zip": report(2)}, "visitor", "start", {})  # type: ignore[arg-type]
    assert started == ["my model"] and draft.run == "token 1"


def test_one_epoch_is_not_many() -> None:
    plan = replace(PLAN, n_concepts=4, n_bits=4, epochs=1)
    assert plan_summary(plan) == "from birds-64, 4 × 1 bit, 1 epoch"


def test_gradio_is_told_each_folder_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Path] = []
    monkeypatch.setattr("gradio.set_static_paths", told.extend)
    serve = _server_of_folders()
    for name in ("a", "a", "b", "a"):
        serve([Path(name)])
    assert told == [Path("a"), Path("b")]

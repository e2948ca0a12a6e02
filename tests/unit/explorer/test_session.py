"""A visitor's selection: frozen, hashable, and replaced rather than changed."""

import dataclasses

import pytest

from explorer.session import IGNORE, Session


def test_a_session_holds_only_what_a_link_could_carry() -> None:
    kinds = {str(field.type) for field in dataclasses.fields(Session)}
    assert kinds <= {"<class 'str'>", "<class 'int'>", "tuple[int, ...]", "tuple[str, ...]"}
    assert hash(Session()) == hash(Session())
    with pytest.raises(dataclasses.FrozenInstanceError):
        Session().image = "other"  # type: ignore[misc]


def test_a_new_question_starts_on_its_first_page() -> None:
    asked = Session(page=4)
    assert asked.replace(family="wren").page == 0
    assert asked.with_image("gallery:a").page == 0
    assert asked.replace(concept=2).page == 4


def test_another_image_keeps_the_concept_and_forgets_the_bit() -> None:
    moved = Session(concept=1, bit=9).with_image("gallery:b")
    assert (moved.concept, moved.bit) == (1, -1)


def test_another_model_forgets_what_was_counted_in_the_old_one() -> None:
    old = Session("a", image="gallery:x", concept=3, bit=40, agree=(0, 1), names=("head",), family="wren", method="raw")
    assert old.with_checkpoint("b") == Session("b", method="raw")
    assert Session("a", image="upload:1").with_checkpoint("b").image == "upload:1"


@pytest.mark.parametrize(
    ("concept", "radius", "expected"), [(1, 0, (IGNORE, 0, IGNORE)), (2, 3, (IGNORE, IGNORE, 3)), (9, 0, (IGNORE,) * 3)]
)
def test_a_rule_changes_one_concept_only(concept: int, radius: int, expected: tuple[int, ...]) -> None:
    assert Session().with_rule(concept, 3, radius).agree == expected


def test_matching_by_one_concept_ignores_the_others_and_goes_to_the_tab() -> None:
    asked = Session(family="wren", agree=(0, 0, 0)).only_concept(1, 3)
    assert (asked.agree, asked.tab, asked.family) == ((IGNORE, 0, IGNORE), "match", "")


def test_names_of_another_model_are_not_used() -> None:
    assert Session(names=("head", "wing")).names_or(("concept 1", "concept 2", "concept 3"))[0] == "concept 1"


def test_a_pattern_narrows_one_concept_and_the_same_again_takes_it_back() -> None:
    one = Session(page=3, browse_page=2).with_pattern(1, 3, "01")
    assert one.patterns == ("", "01", "") and (one.page, one.browse_page) == (0, 0)
    both = one.with_pattern(2, 3, "1.")
    assert both.patterns == ("", "01", "1.")
    assert both.with_pattern(1, 3, "01").patterns == ("", "", "1.")
    assert one.with_pattern(1, 3, "01").patterns == ()


def test_each_condition_on_the_gallery_can_be_taken_away_alone() -> None:
    narrow = Session(classes=("a", "b"), family="f", patterns=("01", ".1"), where=("split=test", "note=x=y"))
    assert narrow.part == {
        "classes": ("a", "b"),
        "family": "f",
        "patterns": ("01", ".1"),
        "where": ("split=test", "note=x=y"),
    }
    assert narrow.widened("classes").part == narrow.part | {"classes": ()}
    assert narrow.widened("where:split").where == ("note=x=y",)
    assert narrow.widened("where:other") == narrow
    assert narrow.widened("family").family == ""
    assert narrow.widened("patterns", 0).patterns == ("", ".1")
    assert narrow.widened("patterns", 0).widened("patterns", 1).patterns == ()
    assert narrow.widened("image") == narrow
    assert narrow.whole_gallery().part == Session().part


def test_a_column_has_one_value_and_another_one_takes_its_place() -> None:
    chosen = Session(page=2).with_value("split", "test").with_value("note", "x=y")
    assert chosen.where == ("split=test", "note=x=y") and chosen.page == 0
    assert chosen.with_value("split", "train").where == ("note=x=y", "split=train")
    assert chosen.with_value("split", "").where == ("note=x=y",)
    assert not chosen.whole_gallery().where


def test_turned_bits_belong_to_one_image_and_turn_back() -> None:
    turned = Session(image="gallery:a").with_flip(3).with_flip(1)
    assert turned.flips == (1, 3) and turned.with_flip(3).flips == (1,)
    assert turned.with_image("gallery:b").flips == ()

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

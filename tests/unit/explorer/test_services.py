"""What services answer: numbers that agree with each other, one visitor's images for that visitor only."""

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from builders import make_gallery
from PIL import Image

from concepthash.errors import CheckpointError, ConceptHashError, ConfigError, GalleryError, ImageError, QueryError
from concepthash.gallery.large_gallery import LargeGallery
from explorer.records import DIFFER, IGNORE, MapControls
from explorer.services import Services, load_services
from explorer.services.cache import AnswerCache
from explorer.services.explain import UNDECIDED, cosines
from explorer.services.uploads import UploadStore
from explorer.settings import Settings

MODEL = "birds-8"


def upload(services: Services, visitor: str, path: Path, color: str = "teal") -> str:
    Image.new("RGB", (70, 50), color).save(path)
    return "upload:" + services.photos.keep_upload(visitor, path)


def test_an_explanation_has_one_map_and_one_subcode_per_concept(services: Services, first: str) -> None:
    explanation = services.explain.explain(MODEL, "me", first, MapControls())
    assert [view.concept for view in explanation.concepts] == [0, 1]
    for view in explanation.concepts:
        assert view.concept_map.sum() == pytest.approx(1, abs=1e-4)
        assert [cell.bit // 4 for cell in view.bits] == [view.concept] * 4
        assert all(cell.is_undecided == (abs(cell.value) < UNDECIDED) for cell in view.bits)
        values = [center.value for center in view.centers]
        assert values == sorted(values, reverse=True)
    assert (explanation.photo.width, explanation.photo.height) == (90, 60)


def test_the_code_of_a_gallery_image_is_the_code_of_its_explanation(services: Services, first: str) -> None:
    explained = services.explain.explain(MODEL, "me", first, MapControls())
    bits = [cell.value for view in explained.concepts for cell in view.bits]
    np.testing.assert_allclose(services.explain.code_logits(MODEL, "me", first), bits, atol=1e-4)


def test_the_base_rate_on_a_card_is_the_number_of_matches(services: Services, first: str) -> None:
    explained = services.explain.explain(MODEL, "me", first, MapControls())
    for view in explained.concepts:
        agree = tuple(0 if m == view.concept else -1 for m in range(2))
        result = services.match.match(MODEL, "me", first, agree=agree)
        assert result.n_matching == view.n_sharing == result.n_carrying
        assert result.n_gallery == view.n_gallery == 11


def test_models_of_the_same_weights_call_classes_what_they_call_them(settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(settings.checkpoints, tmp_path / "checkpoints")
    shutil.copytree(tmp_path / "checkpoints" / MODEL, tmp_path / "checkpoints" / "copy")
    classes = tmp_path / "checkpoints" / "copy" / "classes.json"
    classes.write_text(classes.read_text().replace("tern", "TERN"))
    services = load_services(replace(settings, checkpoints=tmp_path / "checkpoints"))
    for name, word in ((MODEL, "tern"), ("copy", "TERN")):
        image = services.photos.first_image(name)
        explained = services.explain.explain(name, "me", image, MapControls())
        assert [center for center in explained.centers if word in center.class_name]
        sides = services.explain.bit(name, "me", image, 0)
        known = services.models.checkpoint(name).class_names
        assert {center.class_name for center in (*sides.on, *sides.off)} <= set(known)


def test_an_explanation_counts_in_the_gallery_that_is_shown(
    services: Services, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = services.explain.explain(MODEL, "me", first, MapControls())
    shown = services.photos.shown_gallery(MODEL)
    few = replace(shown, gallery=make_gallery(np.eye(5, 8, dtype=bool), 2))
    monkeypatch.setattr(services.photos, "shown_gallery", lambda _: few)  # as after a server has come back with another
    after = services.explain.explain(MODEL, "me", first, MapControls())
    assert {view.n_gallery for view in before.concepts} == {11}
    assert {view.n_gallery for view in after.concepts} == {5}
    assert services.explain.bit(MODEL, "me", first, 0).n_gallery == 5


def test_a_search_without_a_hit_leaves_the_image_in_hand(services: Services, first: str) -> None:
    assert services.photos.random_image(MODEL, first, "no such class") == first


def test_an_image_that_is_no_longer_kept_is_known_to_be_gone(services: Services, first: str, tmp_path: Path) -> None:
    sent = upload(services, "me", tmp_path / "a.png")
    assert services.photos.kept("me", sent) and services.photos.kept("me", first)
    assert not services.photos.kept("you", sent)


def test_a_bit_has_its_own_map_and_classes_on_both_sides(services: Services, first: str) -> None:
    view = services.explain.bit(MODEL, "me", first, 5)
    assert view.concept == 1 and view.bit_map.sum() == pytest.approx(1, abs=1e-4)
    assert all(center.value > 0 for center in view.on) and all(center.value < 0 for center in view.off)
    with pytest.raises(QueryError, match="bits 0 to 7"):
        services.explain.bit(MODEL, "me", first, 8)


def test_a_concept_can_be_asked_to_differ(services: Services, first: str) -> None:
    with_it = services.match.match(MODEL, "me", first, agree=(0, IGNORE))
    without = services.match.match(MODEL, "me", first, agree=(DIFFER, IGNORE))
    assert with_it.n_matching + without.n_matching == with_it.n_gallery
    assert all(match.chips[0].distance > 0 for match in without.matches)
    both = services.match.match(MODEL, "me", first, agree=(DIFFER, 0))
    assert all(match.chips[0].distance > 0 and match.chips[1].distance == 0 for match in both.matches)
    if not both.matches:
        assert {offer.agree for offer in both.relaxations} & {(IGNORE, 0), (DIFFER, IGNORE)}


def test_what_is_found_is_counted_by_class_and_family_without_their_own_filters(services: Services, first: str) -> None:
    found = services.match.match(MODEL, "me", first, page_size=99)
    shown = {facet.column: {one.value: one.n_matching for one in facet.values} for facet in found.facets}
    classes = [match.thumbnail.class_name for match in found.matches]
    assert shown["class"] == {name: classes.count(name) for name in {*classes}} and len(shown["class"]) == 3
    assert sum(shown["family"].values()) == found.n_matching
    chosen = services.match.match(MODEL, "me", first, classes=("marsh wren", "no such bird"))
    by_class, by_family = chosen.facets
    assert [(one.value, one.n_matching, one.is_chosen) for one in by_class.values] == [
        *((name, n, name == "marsh wren") for name, n in sorted(shown["class"].items(), key=lambda x: (-x[1], x[0]))),
        ("no such bird", 0, True),
    ]
    assert [(one.value, one.n_matching) for one in by_family.values] == [("wren", chosen.n_matching)]


def test_a_value_that_no_image_has_is_refused_with_a_sentence(services: Services, first: str) -> None:
    for wrong in ("split=none", "split", "row=1", "", "=", "x" * 999):
        with pytest.raises(QueryError, match="No image of the gallery has"):
            services.match.match(MODEL, "me", first, where=(wrong,))


def test_pages_of_matches_hold_every_other_image_once(services: Services, first: str) -> None:
    pages = [services.match.match(MODEL, "me", first, page=p, page_size=5) for p in range(3)]
    names = [match.thumbnail.image for page in pages for match in page.matches]
    assert len(names) == len(set(names)) == 11 and first not in names
    assert services.match.match(MODEL, "me", first, page=99, page_size=5).page == 2


def test_an_unanswerable_question_offers_looser_ones_that_have_answers(services: Services, first: str) -> None:
    result = services.match.match(MODEL, "me", first, family="tern", classes=("marsh wren",))
    assert not result.matches and result.n_filtered == 0
    offer = result.relaxations[0]
    assert not offer.keeps_filter
    assert services.match.match(MODEL, "me", first, agree=offer.agree).n_matching == offer.n_matching > 0


def test_an_upload_is_seen_by_its_visitor_only(services: Services, tmp_path: Path) -> None:
    mine = upload(services, "me", tmp_path / "mine.png")
    assert services.explain.explain(MODEL, "me", mine, MapControls()).photo.title == "mine.png"
    with pytest.raises(ImageError, match="upload the image again"):
        services.explain.explain(MODEL, "you", mine, MapControls())
    with pytest.raises(ImageError, match="upload the image again"):
        services.explain.code_logits(MODEL, "you", mine)


@pytest.mark.parametrize("content", [b"", b"plain text", b"\x89PNG\r\n\x1a\n broken"])
def test_a_file_that_is_no_image_is_refused_with_a_sentence(services: Services, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        services.photos.keep_upload("me", tmp_path / "bad.jpg")


def test_a_file_over_the_limit_is_refused_before_it_is_read(settings: Settings, tmp_path: Path) -> None:
    services = load_services(replace(settings, max_upload_bytes=10))
    (tmp_path / "large.png").write_bytes(b"x" * 11)
    with pytest.raises(ImageError, match="at most"):
        services.photos.keep_upload("me", tmp_path / "large.png")


def test_old_uploads_make_room_for_new_ones() -> None:
    store = UploadStore(per_visitor=2, visitors=2, max_bytes=100)
    digests = [store.keep("me", f"{i}.png", bytes([i]) * 40) for i in range(3)]
    assert store.find("me", digests[2])[0] == "2.png"
    with pytest.raises(ImageError):
        store.find("me", digests[0])
    other = store.keep("you", "a.png", b"a" * 90)
    assert store.find("you", other) and store.n_bytes == 90


def test_the_strip_shows_many_classes_early_and_searches_by_words(services: Services) -> None:
    page = services.photos.strip(MODEL, "", 0, 3)
    assert len({card.class_name for card in page.cards}) == 3 and page.n_pages == 4
    assert services.photos.strip(MODEL, "WREN cac", 0, 9).n_total == 4
    assert services.photos.strip(MODEL, "emu", 5, 9).cards == ()


def test_a_random_image_is_another_one(services: Services, first: str) -> None:
    assert all(services.photos.random_image(MODEL, first) != first for _ in range(20))


def test_a_random_image_of_a_large_gallery_is_another_one_even_behind_the_last(
    settings: Settings, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("concepthash.gallery.opening._READ_WHOLE", 0)
    large = load_services(replace(settings, gallery=str(services.galleries.of(MODEL).gallery.path)))
    assert isinstance(large.galleries.of(MODEL).gallery, LargeGallery)
    wrens = [card.image for card in large.photos.strip(MODEL, "marsh wren", 0, 9).cards]
    monkeypatch.setattr("numpy.random.default_rng", lambda: SimpleNamespace(integers=lambda n: n - 1))
    assert large.photos.random_image(MODEL, wrens[-1], "marsh wren") == wrens[0]
    assert large.photos.random_image(MODEL, wrens[0], "marsh wren") == wrens[-1]
    assert large.photos.random_image(MODEL, wrens[0], "no such class") == wrens[0]
    monkeypatch.setattr(LargeGallery, "images", lambda *_: ())  # as where a server has lost the row since
    with pytest.raises(QueryError, match="not in the gallery of this model"):
        large.photos.pixels(MODEL, "me", wrens[0])


def test_models_are_named_by_each_request_and_unknown_ones_refused(services: Services, first: str) -> None:
    assert services.info("birds-6").n_concepts == 3 and services.info(MODEL).n_concepts == 2
    assert len(services.explain.explain("birds-6", "me", first, MapControls()).concepts) == 3
    with pytest.raises(CheckpointError, match="choose one of birds-6, birds-8"):
        services.info("../birds-8")


def test_concept_names_travel_with_the_folder_where_that_is_allowed(settings: Settings) -> None:
    services = load_services(settings)
    assert services.models.rename(MODEL, (" head ", "wing")) == ("head", "wing")
    assert load_services(settings).info(MODEL).concept_names == ("head", "wing")
    with pytest.raises(ConfigError, match="same name"):
        services.models.rename(MODEL, ("a", "A"))
    public = load_services(replace(settings, host="0.0.0.0"))
    assert public.models.rename(MODEL, ("x", "y")) == ("x", "y")
    assert public.info(MODEL).concept_names == ("head", "wing")


def test_a_gallery_of_another_model_is_refused_or_replaced_with_words(settings: Settings) -> None:
    own = load_services(settings).galleries.of(MODEL).gallery.path
    opened = load_services(replace(settings, gallery=str(own)))
    assert opened.info(MODEL).gallery_kind == "own"
    assert "made with birds-8" in opened.info("birds-6").foreign_gallery
    assert load_services(replace(settings, gallery=str(own), checkpoint="")).default_model == MODEL
    with pytest.raises(GalleryError, match="another checkpoint"):
        load_services(replace(settings, gallery=str(own), checkpoint="birds-6"))


def test_a_missing_checkpoint_or_gallery_is_one_sentence(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint 'none'; choose one of birds-6, birds-8, or give"):
        load_services(replace(settings, checkpoint="none"))
    for wrong in (
        {"checkpoint": "none"},
        {"checkpoints": tmp_path, "checkpoint": ""},
        {"gallery": str(tmp_path / "none")},
    ):
        with pytest.raises(ConceptHashError) as refused:
            load_services(replace(settings, **wrong))  # type: ignore[arg-type]
        assert str(refused.value).endswith((".", "…")) and "\n" not in str(refused.value)


def test_equal_questions_asked_at_once_are_computed_once() -> None:
    cache, calls, answers = AnswerCache(4), [], []

    def slow() -> int:
        calls.append(1)
        time.sleep(0.05)
        return 7

    threads = [threading.Thread(target=lambda: answers.append(cache.get("q", slow))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1] and answers == [7] * 6


def test_a_failed_computation_is_tried_again_and_old_answers_leave() -> None:
    cache = AnswerCache(2)
    with pytest.raises(ZeroDivisionError):
        cache.get("q", lambda: 1 // 0)
    assert cache.get("q", lambda: 5) == 5
    for key in "abc":
        cache.get(key, lambda: 0)
    assert len(cache) == 2


def test_the_cosine_of_nothing_is_zero() -> None:
    centers = np.array([[1.0, 0.0], [0.0, 0.0], [-2.0, 0.0]])
    np.testing.assert_allclose(cosines(np.array([3.0, 0.0]), centers), [1, 0, -1])
    assert not cosines(np.zeros(2), centers).any()

"""The public functions in Python: what they take, what they answer, and the sentence where something is wrong."""

import asyncio
import base64
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from concepthash.errors import CheckpointError, ConceptHashError, ImageError, QueryError
from explorer.api import Api
from explorer.doors import as_json
from explorer.sent_images import image_of, with_images
from explorer.services import Services
from explorer.services.gate import BusyError, Gate, TooLateError
from explorer.settings import Settings


@pytest.fixture(scope="module")
def api(services: Services) -> Api:
    return Api(lambda: services)


@pytest.fixture
def photo(settings: Settings) -> Path:
    return next(settings.examples.glob("*/*.webp"))


@pytest.fixture
def rgb(photo: Path) -> np.ndarray:
    return np.array(Image.open(photo).convert("RGB"))


def test_an_image_may_be_a_path_a_text_bytes_pixels_or_a_picture(api: Api, photo: Path, rgb: np.ndarray) -> None:
    ways = [photo, str(photo), photo.read_bytes(), rgb, Image.fromarray(rgb)]
    codes = [[bit.value for concept in api.explain(image).concepts for bit in concept.bits] for image in ways]
    assert all(code == codes[0] for code in codes)


def test_services_are_loaded_when_the_first_question_is_asked(services: Services) -> None:
    loaded = []

    def load() -> Services:
        loaded.append(True)
        return services

    api = Api(load)
    assert not loaded
    assert api.checkpoints() and api.checkpoints() and loaded == [True]


def test_checkpoints_are_listed_with_the_default_one_first(api: Api) -> None:
    listed = api.checkpoints()
    assert [info.name for info in listed] == ["birds-8", "birds-6"]
    assert [info.is_default for info in listed] == [True, False]
    assert (listed[1].n_concepts, listed[1].n_bits, listed[1].bits_per_concept) == (3, 6, 2)


def test_words_and_numbers_ask_for_the_same(api: Api, first: str) -> None:
    for word, number in (("exact", 0), ("ignore", -1), ("differ", -2)):
        assert as_json(api.match(first, agree=[word, 1])) == as_json(api.match(first, agree=[number, 1]))


def test_a_code_is_composed_of_the_sub_codes_of_several_images(api: Api, services: Services) -> None:
    gallery = services.photos.shown_gallery("birds-8").gallery.sample
    ids, bits = [f"gallery:{name}" for name in gallery.image_ids], gallery.code_logits > 0  # (N, K)
    size = gallery.bits_per_concept
    for one, other, radius in ((0, 5, 1), (3, 7, 2), (2, 2, 0)):
        near = (bits[:, :size] != bits[one, :size]).sum(axis=1) <= radius
        apart = (bits[:, size:] != bits[other, size:]).sum(axis=1) > radius
        parts: list[Any] = [{"image": ids[one], "concept": 0, "radius": radius}]
        parts += [{"image": ids[other], "concept": 1, "radius": radius, "differs": True}]
        found = api.compose(parts)
        assert {match.thumbnail.image for match in found.matches} == {ids[i] for i in np.flatnonzero(near & apart)}
        assert found.n_matching == int((near & apart).sum())
        order = [match.chips[0].distance for match in found.matches]
        assert order == sorted(order)


def test_the_concepts_that_no_part_names_are_compared_with_the_given_image(api: Api, services: Services) -> None:
    gallery = services.photos.shown_gallery("birds-8").gallery.sample
    ids, bits = [f"gallery:{name}" for name in gallery.image_ids], gallery.code_logits > 0
    size = gallery.bits_per_concept
    for image in ("", ids[4]):
        found = api.compose([{"image": ids[0], "concept": 0, "radius": size}], image=image)
        for match in found.matches:
            i = ids.index(match.thumbnail.image)
            other = ids.index(image) if image else 0
            assert match.chips[0].distance == int((bits[i, :size] != bits[0, :size]).sum())
            assert match.chips[1].distance == int((bits[i, size:] != bits[other, size:]).sum())


def test_a_composed_question_stays_within_the_chosen_part_of_the_gallery(api: Api, first: str) -> None:
    part = {"image": first, "concept": 0, "radius": 4}
    found = api.compose([part], classes=["marsh wren"])  # type: ignore[list-item]
    assert {match.thumbnail.class_name for match in found.matches} == {"marsh wren"}
    with pytest.raises(QueryError):
        api.compose([part], patterns=["0"])  # type: ignore[list-item]


def test_a_part_from_one_image_alone_is_what_match_finds_and_the_image_itself(api: Api, first: str) -> None:
    composed = api.compose([{"image": first, "concept": 1}])
    matched = api.match(first, agree=["ignore", "exact"], rank="none")
    assert {m.thumbnail.image for m in composed.matches} == {first, *(m.thumbnail.image for m in matched.matches)}


def test_classes_are_ordered_by_the_cosine_of_their_centers(api: Api, services: Services, first: str) -> None:
    found = api.classify(first, k=3)
    logits = services.explain.code_logits("birds-8", "", first)
    centers = services.models.encoder("birds-8").class_centers
    cosines = centers @ logits / np.linalg.norm(centers, axis=1) / np.linalg.norm(logits)
    names = services.models.checkpoint("birds-8").class_names
    assert [c.class_name for c in found.classes] == [names[i] for i in np.argsort(-cosines)[:3]]
    assert [c.value for c in found.classes] == pytest.approx(np.sort(cosines)[::-1][:3])
    assert len(found.concepts) == 2 and all(len(part) == 3 for part in found.concepts)


def test_sub_codes_need_no_image_but_tell_that_of_one(api: Api, first: str) -> None:
    assert as_json(api.subcodes(0))["query"] == ""
    assert as_json(api.subcodes(0, image=first))["query"] != ""
    assert as_json(api.subcodes(1, view="dictionary", image=first))["entries"]
    assert len(as_json(api.subcodes(1, view="scatter", image=first))["values"]) == 12


WRONG: dict[str, tuple[type[ConceptHashError], Callable[[Api, str], Any]]] = {
    "unknown model": (CheckpointError, lambda api, image: api.explain(image, "../birds-8")),
    "missing file": (ImageError, lambda api, image: api.explain("no/such.jpg")),
    "a number": (ImageError, lambda api, image: api.explain(3)),  # type: ignore[arg-type]
    "no image": (QueryError, lambda api, image: api.explain("")),
    "floats": (ImageError, lambda api, image: api.explain(np.zeros((4, 4, 3)))),
    "no pixels": (ImageError, lambda api, image: api.explain(np.zeros((0, 4, 3), np.uint8))),
    "no picture": (ImageError, lambda api, image: api.explain(b"GIF89a but not really")),
    "foreign image": (QueryError, lambda api, image: api.explain("gallery:nowhere/1.png")),
    "foreign upload": (ImageError, lambda api, image: api.explain("upload:123")),
    "NaN": (QueryError, lambda api, image: api.explain(image, residual=float("nan"))),
    "too large a share": (QueryError, lambda api, image: api.explain(image, discard=1.0)),
    "unknown method": (QueryError, lambda api, image: api.explain(image, method="magic")),  # type: ignore[arg-type]
    "one rule of two": (QueryError, lambda api, image: api.match(image, agree=["exact"])),
    "a text of rules": (QueryError, lambda api, image: api.match(image, agree="ex")),  # type: ignore[arg-type]
    "one weight of two": (QueryError, lambda api, image: api.match(image, weights=[1.0])),
    "a negative weight": (QueryError, lambda api, image: api.match(image, weights=[1.0, -1.0])),
    "a foreign pattern": (QueryError, lambda api, image: api.match(image, patterns=["2...", ""])),
    "a short pattern": (QueryError, lambda api, image: api.match(image, patterns=["0", ""])),
    "a huge page": (QueryError, lambda api, image: api.match(image, page=10**30)),
    "no results": (QueryError, lambda api, image: api.match(image, page_size=0)),
    "no parts": (QueryError, lambda api, image: api.compose([])),
    "half a part": (QueryError, lambda api, image: api.compose([{"image": image}])),
    "twice a concept": (QueryError, lambda api, image: api.compose([{"image": image, "concept": 0}] * 2)),
    "a part too many": (QueryError, lambda api, image: api.compose([{"image": image, "concept": 2}])),
    "another's bits": (QueryError, lambda api, image: api.flip(image, 0, [4])),
    "no such concept": (QueryError, lambda api, image: api.flip(image, 2)),
    "one axis twice": (QueryError, lambda api, image: api.subcodes(0, axes=[1, 1])),
    "a concept too many": (QueryError, lambda api, image: api.subcodes(2)),
    "a plane of nothing": (QueryError, lambda api, image: api.subcodes(0, view="scatter")),
    "no classes": (QueryError, lambda api, image: api.classify(image, k=0)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_has_no_meaning_is_refused_with_a_sentence(wrong: str, api: Api, first: str) -> None:
    kind, ask = WRONG[wrong]
    with pytest.raises(kind, match=r"^[^\n]{15,300}[.!]$"):
        ask(api, first)


def test_an_image_that_is_too_large_is_refused(api: Api, services: Services) -> None:
    with pytest.raises(ImageError, match="at most 25 MB"):
        api.explain(bytes(services.settings.max_upload_bytes + 1))


def test_nothing_that_is_sent_is_taken_for_a_path(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"x")
    for sent in (str(secret), "/etc/passwd", {"path": str(secret)}, {"path": ["a"]}, 3, None, ["gallery:a"]):
        with pytest.raises(ImageError):
            image_of(sent, uploaded=())
    assert image_of({"path": str(secret)}, uploaded={str(secret)}) == b"x"
    assert image_of("gallery:a", uploaded=()) == "gallery:a"


def test_names_of_uploads_and_of_what_came_with_calls_are_no_images_to_a_program() -> None:
    for name in ("upload:0123", "guest:0123"):
        with pytest.raises(ImageError):
            image_of(name, uploaded=())


def test_images_of_a_calls_parts_are_decoded_too() -> None:
    encoded = base64.b64encode(b"pixels").decode()
    values = {"image": f"data:image/png;base64,{encoded}", "parts": [{"image": encoded, "concept": 0}, "nothing"]}
    given = with_images(values, ())
    assert given == {"image": b"pixels", "parts": [{"image": b"pixels", "concept": 0}, "nothing"]}
    assert values["parts"][0] == {"image": encoded, "concept": 0}  # type: ignore[index]


def test_records_become_json_without_pixels_and_paths(api: Api, first: str, settings: Settings) -> None:
    answers = [as_json(api.explain(first)), as_json(api.match(first)), as_json(api.centers(projection="pca"))]
    written = json.dumps(answers, allow_nan=False)
    assert str(settings.cache) not in written and "rgb" not in answers[0]["photo"]
    assert np.array(answers[0]["concepts"][0]["concept_map"]).sum() == pytest.approx(1, abs=1e-4)
    assert as_json((float("nan"), np.float32(1), np.array([np.inf]))) == [None, 1.0, [None]]


def test_a_gate_lets_so_many_wait_and_says_the_others_so() -> None:
    gate, go, seen = Gate(1, 1, seconds=20), threading.Event(), []

    async def ask() -> None:
        calls = [asyncio.create_task(gate.run(lambda: go.wait(10))) for _ in range(2)]
        await asyncio.sleep(0.05)
        seen.append((gate.running, gate.waiting))
        with pytest.raises(BusyError, match="1 calls are waiting"):
            await gate.run(lambda: None)
        go.set()
        assert await asyncio.gather(*calls) == [True, True]

    asyncio.run(ask())
    assert seen == [(1, 1)] and (gate.running, gate.waiting) == (0, 0)


def test_a_call_that_takes_too_long_is_told_so_and_one_that_waited_never_runs() -> None:
    gate, go, ran = Gate(1, 5, seconds=0.1), threading.Event(), []

    async def ask() -> None:
        slow, waiting = gate.run(lambda: go.wait(10)), gate.run(lambda: ran.append(True))
        for answer in await asyncio.gather(slow, waiting, return_exceptions=True):
            assert isinstance(answer, TooLateError)
        go.set()
        assert await Gate.run(gate, lambda: "next") == "next"

    asyncio.run(ask())
    assert not ran and gate.running == 0


def test_an_error_inside_a_call_leaves_the_gate_open() -> None:
    gate = Gate(1, 1, seconds=5)

    async def ask() -> None:
        for _ in range(4):
            with pytest.raises(ZeroDivisionError):
                await gate.run(lambda: 1 / 0)
        assert await gate.run(lambda: 7) == 7

    asyncio.run(ask())

"""Calls of a model borrow a GPU where the package ``spaces`` lends them, and give the same numbers as without."""

import pickle
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from concepthash.attribution import MapSettings
from concepthash.checkpoint import Checkpoint
from concepthash.encoder import Encoder
from explorer.records import MapControls
from explorer.services import load_services
from explorer.services.lent_gpu import SECONDS, load_encoder
from explorer.settings import Settings


class Lender(ModuleType):
    """Lends as ZeroGPU does: what goes in and what comes out is pickled, and a call inside a call borrows nothing."""

    def __init__(self) -> None:
        super().__init__("spaces")
        self.calls: list[str] = []
        self.n_functions, self._is_inside = 0, False

    def GPU(self, task: Callable[..., Any], *, duration: int) -> Callable[..., Any]:  # noqa: N802  # its name
        assert duration == SECONDS
        self.n_functions += 1

        def borrow(*arguments: Any) -> Any:
            if self._is_inside:
                return task(*arguments)
            self.calls.append(arguments[0])
            self._is_inside = True
            try:
                return pickle.loads(pickle.dumps(task(*pickle.loads(pickle.dumps(arguments)))))
            finally:
                self._is_inside = False

        return borrow


@pytest.fixture
def lender(monkeypatch: pytest.MonkeyPatch) -> Lender:
    lender = Lender()
    monkeypatch.setitem(sys.modules, "spaces", lender)
    return lender


def test_every_call_borrows_once_and_answers_the_same(checkpoint: Checkpoint, lender: Lender) -> None:
    plain, lent = Encoder(checkpoint, "cpu"), load_encoder(checkpoint, "cpu")
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    for method in ("rollout", "gradient"):
        for one, other in zip(
            plain.explain(image, MapSettings(method)), lent.explain(image, MapSettings(method)), strict=True
        ):  # fmt: skip
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(plain.code_logits([image]), lent.code_logits([image]))
    np.testing.assert_array_equal(plain.encode([image]).attention_centers, lent.encode([image]).attention_centers)
    np.testing.assert_array_equal(plain.bit_map(image, 3), lent.bit_map(image, 3))
    assert lender.calls == ["explain_batch", "explain_batch", "code_logits", "encode", "bit_map"]
    assert lender.n_functions == 1  # one worker process for all of them


def test_the_app_borrows(settings: Settings, lender: Lender) -> None:
    services = load_services(settings)
    lender.calls.clear()
    services.explain.explain("birds-8", "me", services.photos.first_image("birds-8"), MapControls())
    assert lender.calls == ["explain_batch"]


def test_where_nothing_is_lent_a_model_is_as_it_was(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spaces", None)  # as if it were not installed
    assert not {"explain_batch", "code_logits"} & set(vars(load_encoder(checkpoint, "cpu")))

"""The losses that ConceptHash is compared with, and the table they end in."""

import dataclasses
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import retrieval
from benchmarks.baselines import CSQ, HashNet, OrthoHash, Softmax, fixed_centers
from benchmarks.results_table import BEGIN, END, _pointing, table_of, write_table
from benchmarks.retrieval import HASHERS, all_runs, hashed, known_runs, row
from builders import tiny_config, tiny_model

from concepthash.model import ConceptHashOutput
from concepthash.objective import Objective

LABELS = torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])


def output_of(code_logits: torch.Tensor) -> ConceptHashOutput:
    return ConceptHashOutput(
        code_logits, torch.randn(len(code_logits), 2, 32), torch.zeros(len(code_logits), 12, 32), ()
    )


@pytest.mark.parametrize("kind", [CSQ, OrthoHash])
def test_codes_on_their_centers_cost_least(kind: type[Objective]) -> None:
    objective = kind(tiny_model())  # type: ignore[call-arg]
    centers = fixed_centers(5, 8)[LABELS]
    on, beside = (float(objective.terms(output_of(6 * codes), LABELS)["total"]) for codes in (centers, -centers))
    assert on < 0.1 * beside


def test_hash_net_wants_equal_classes_together_and_others_apart() -> None:
    together = fixed_centers(5, 8)[LABELS]
    losses = []
    for codes in (together, torch.ones(8, 8)):
        objective = HashNet(tiny_model(), n_images=20)
        objective.terms(output_of(3 * codes), LABELS)
        losses.append(float(objective.terms(output_of(3 * codes), LABELS)["total"]))
    assert losses[0] < 0.5 * losses[1]


def test_hash_net_remembers_the_last_images_and_sharpens() -> None:
    objective = HashNet(tiny_model(), n_images=12)
    for step in range(3):
        objective.terms(output_of(torch.full((8, 8), step + 1.0)), LABELS)
    assert (objective.seen >= 0).all()
    newest = torch.tanh(torch.tensor(3.0 * (1 + 0.005 * 2) ** 0.5))
    assert (objective.codes == newest).all(dim=1).sum() == 8


@pytest.mark.parametrize("kind", [CSQ, OrthoHash, Softmax])
def test_a_baseline_learns_what_its_network_can_tell(kind: type[Objective]) -> None:
    torch.manual_seed(0)
    model = tiny_model().train()
    objective = kind(model)  # type: ignore[call-arg]
    features = torch.randn(8, 1280, 3, 4)
    optimizer = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad], 1e-3)
    losses = []
    for _ in range(12):
        loss = objective(features, LABELS)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("n_classes", "n_bits", "least"), [(50, 64, 32), (50, 32, 16), (50, 16, 5), (196, 64, 23), (196, 32, 9), (50, 6, 1)]
)
def test_fixed_centers_are_signs_as_far_apart_as_there_is_room_for(n_classes: int, n_bits: int, least: int) -> None:
    centers = fixed_centers(n_classes, n_bits, seed=1)
    assert centers.shape == (n_classes, n_bits)
    assert centers.abs().eq(1).all()
    distances = (n_bits - centers @ centers.T) / 2
    assert distances[~torch.eye(n_classes, dtype=torch.bool)].min() >= least
    is_hadamard = n_classes <= 2 * n_bits
    assert torch.equal(fixed_centers(n_classes, n_bits, seed=2), centers) is is_hadamard


def test_more_classes_than_codes_share_every_code_alike() -> None:
    _, counts = fixed_centers(196, 6).unique(dim=0, return_counts=True)
    assert len(counts) == 64
    assert set(counts.tolist()) == {3, 4}


def test_without_batch_norm_specificity_matters_and_behind_it_it_cannot() -> None:
    """A shared linear map turns E into one number a bit, and batch norm takes that off again."""
    embeddings = torch.randn(16, 2, 32)
    for batch_norm in (True, False):
        config = tiny_config(head=dataclasses.replace(tiny_config().head, batch_norm=batch_norm))
        head = tiny_model(config).hash_head.train()
        with_it = head(embeddings)
        with torch.no_grad():
            head.specificity.zero_()
        assert torch.allclose(with_it, head(embeddings), atol=1e-4) is batch_norm


@pytest.mark.parametrize("kind", HASHERS)
def test_bits_of_features_that_lie_apart_from_zero_are_balanced(kind: str) -> None:
    random = np.random.default_rng(0)
    train, test = (5 + random.normal(size=(n, 12)) for n in (400, 200))  # ten times as far from 0 as from each other
    for values in hashed(kind, 8, 1, train, test):
        assert (np.abs((values > 0).mean(axis=0) - 0.5) < 0.15).all()


def test_the_table_has_means_spreads_and_our_method_first(tmp_path: Path) -> None:
    rows = [
        {"data": "birds", "bits": 16, "epochs": epochs, "method": method, "map": value, "map_topk": value,
         "precision_at_10": 0.5, "map_per_concept": [0.2, 0.4], "minutes": 3.0}
        | ({"concept_overlap": 0.1} if method == "ConceptHash" else {})
        for method, epochs, values in (
            ("LSH", 0, (0.3,)), ("CSQ", 30, (0.5,)), ("CSQ", 110, (0.6,)), ("ConceptHash", 30, (0.7, 0.8, 0.9))
        )
        for value in values
    ]  # fmt: skip
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_table(table_of(tmp_path / "results.jsonl"), tmp_path / "README.md")
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| ConceptHash | 0.800 ± 0.100 | 0.800 ± 0.100 | 0.500 ± 0.000 | 0.300 ± 0.000 | 0.100 ± 0.000 |" in text
    assert "| CSQ | 0.500 | 0.500 | 0.500 | 0.300 | – |" in text
    assert "| CSQ | 0.600 |" in text.split("**birds, 16 bits, 110 epochs**")[1]
    order = [text.index(f"| {method} |") for method in ("ConceptHash", "CSQ", "LSH")]
    assert order == sorted(order)


def test_a_run_of_the_table_with_its_row_is_not_made_again(tmp_path: Path) -> None:
    runs = list(all_runs({"birds": 30, "cars": 30}, 110))
    assert len(set(runs)) == len(runs)
    assert {run.epochs for run in runs if run.bits == 64 and run.method == "CSQ"} == {30, 110}
    lines = [json.dumps(row(run, run.bits or 6, 1.0, {"map": 0.5}) | {"method": "a name"}) for run in runs]
    (tmp_path / "results.jsonl").write_text("\n".join(lines))
    assert known_runs(tmp_path / "results.jsonl") == set(runs)
    assert known_runs(tmp_path / "none.jsonl") == set()


def test_a_run_that_fails_costs_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows_of(run: retrieval.Run, _: object) -> list[dict[str, object]]:
        if run.bits == 16:
            raise ValueError("no such thing")
        return [row(run, run.bits, 1.0, {"map": 0.5, "map_topk": 0.5, "precision_at_10": 0.5, "map_per_concept": [1]})]

    monkeypatch.setattr(retrieval, "ProcessPoolExecutor", lambda n, _: ThreadPoolExecutor(n))
    monkeypatch.setattr(retrieval, "rows_of", rows_of)
    arguments = f"--birds B --cars C --cache C --seeds 0 --only HashNet --results {tmp_path / 'results.jsonl'}"
    monkeypatch.setattr(sys, "argv", ["retrieval", *arguments.split()])
    assert retrieval.main() == 1
    made = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert sorted({(r["data"], r["bits"]) for r in made}) == [
        ("birds", 6), ("birds", 32), ("birds", 64), ("cars", 6), ("cars", 32), ("cars", 64),
    ]  # fmt: skip
    assert "failed: ValueError('no such thing')" in capsys.readouterr().err


def test_a_part_that_no_image_shows_is_left_out_of_pointing() -> None:
    assert _pointing({"keypoint_pointing": [[0.6, 0.2, None], [0.1, 0.3, None]]}) == pytest.approx(0.45)

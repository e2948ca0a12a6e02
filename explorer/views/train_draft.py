"""What one visitor has entered on the Train tab: a frozen `Draft`, and what every click or field makes of it."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..render.train_plan import CONCEPTS, EPOCHS, PER_CONCEPT, TOP_WEIGHT
from ..render.train_steps import STEPS
from ..training_records import Plan

__all__ = ["Draft", "act_on_draft", "name_of_zip"]

SOURCES = ("zip", "files", "folder")
UNNAMED = "my model"


@dataclass(frozen=True)
class Draft:
    """Only str, int and tuple fields, so that it is hashable; nothing entered in one step is lost in another."""

    plan: Plan
    name: str = ""
    step: str = "data"  # the open one; "" = all are closed
    source: str = "zip"
    files: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (class, uploaded files)
    class_name: str = ""
    page: int = 0  # of the classes
    runs: tuple[tuple[str, str], ...] = ()  # (token, name), the newest first
    run: str = ""  # the token of the one that is looked at
    deleting: str = ""  # the run that is about to be deleted
    turn: int = 0  # counts what changed on the server, so that it is shown again

    def replace(self, **changes: Any) -> "Draft":
        """Return a copy with ``changes``; looking elsewhere takes back the question whether to delete."""
        if "deleting" not in changes:
            changes["deleting"] = ""
        return dataclasses.replace(self, **changes)

    def with_files(self, name: str, files: Sequence[str]) -> "Draft":
        """Add files to a class, which need not be there yet; the field for the next class is empty again."""
        known = dict(self.files)
        chosen = name.strip() or self._free_name(known)
        known[chosen] = (*known.get(chosen, ()), *files)
        return self.replace(files=tuple(known.items()), class_name="", page=0)

    def with_run(self, token: str) -> "Draft":
        """Note a started run and look at it."""
        return self.replace(runs=((token, self.name or UNNAMED), *self.runs), run=token, step="run")

    def without_run(self, token: str) -> "Draft":
        """Forget a run."""
        runs = tuple(run for run in self.runs if run[0] != token)
        return self.replace(runs=runs, run="" if self.run == token else self.run, step="plan")

    def name_of(self, token: str) -> str:
        """Return the name a run was given."""
        return dict(self.runs).get(token, UNNAMED)

    def _free_name(self, known: Mapping[str, Any]) -> str:
        return next(f"class {n}" for n in range(1, len(known) + 2) if f"class {n}" not in known)


def act_on_draft(
    draft: Draft, do: str, values: dict[str, Any], starts: Sequence[str], languages: Sequence[str]
) -> Draft:
    """Return the draft after one action that needs no server; an unknown action or value changes nothing."""
    if do == "step" and values["name"] in STEPS:
        return draft.replace(step="" if values["name"] == draft.step else str(values["name"]))
    if do == "source" and values["name"] in SOURCES:
        return draft.replace(source=str(values["name"]), page=0)
    if do == "class_name":
        return draft.replace(class_name=str(values["value"])[:80])
    if do == "remove":
        return draft.replace(files=tuple(pair for pair in draft.files if pair[0] != values["name"]), page=0)
    if do == "classes":
        return draft.replace(page=max(0, int(values["page"])))
    if do == "plan":
        return _with_choice(draft, str(values["name"]), str(values["value"]), starts, languages)
    if do == "weigh":
        return _with_weight(draft, str(values["term"]), float(values["value"]) / 10)
    if do == "unweigh":
        return draft.replace(plan=dataclasses.replace(draft.plan, weights=()))
    if do == "choose" and values["run"] in dict(draft.runs):
        return draft.replace(run=str(values["run"]), step="run")
    if do == "new":
        return draft.replace(run="", step="data")
    if do == "ask_delete":
        return draft.replace(deleting=draft.run)
    if do == "keep":
        return draft.replace(deleting="")
    return draft


def name_of_zip(path: str) -> str:
    """Return a name for a model from the name of the file it is made of."""
    stem = re.split(r"[/\\]", path)[-1].rsplit(".", 1)[0]
    return re.sub(r"[_\s]+", " ", stem).strip()[:40] or UNNAMED


def _with_choice(draft: Draft, name: str, value: str, starts: Sequence[str], languages: Sequence[str]) -> Draft:
    """Take over one field of the plan; bits always stay a multiple of the concepts."""
    plan = draft.plan
    if name == "name":
        return draft.replace(name=value.strip()[:40])
    if name == "start" and value in starts:
        return draft.replace(plan=dataclasses.replace(plan, start=value))
    if name == "language" and value in languages:
        return draft.replace(plan=dataclasses.replace(plan, language=value))
    number = int(value) if re.fullmatch(r"\d{1,4}", value) else -1
    if name == "epochs" and number >= 0:
        return draft.replace(plan=dataclasses.replace(plan, epochs=min(max(number, EPOCHS[0]), EPOCHS[1])))
    if name == "n_concepts" and number in CONCEPTS:
        bits = number * plan.n_bits // plan.n_concepts
        return draft.replace(plan=dataclasses.replace(plan, n_concepts=number, n_bits=bits))
    if name == "n_bits" and number in [plan.n_concepts * bits for bits in PER_CONCEPT]:
        return draft.replace(plan=dataclasses.replace(plan, n_bits=number))
    return draft


def _with_weight(draft: Draft, term: str, weight: float) -> Draft:
    weights = dict(draft.plan.weights) | {term: round(min(max(weight, 0.0), TOP_WEIGHT), 1)}
    return draft.replace(plan=dataclasses.replace(draft.plan, weights=tuple(sorted(weights.items()))))

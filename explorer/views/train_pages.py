"""What the Train tab shows: the HTML of every step from a visitor's draft and what the service says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ..render.markup import notice
from ..render.train_data import data_step, data_summary
from ..render.train_maps import watched_maps
from ..render.train_plan import estimate_line, plan_step, plan_summary
from ..render.train_result import result_detail, result_step, result_summary
from ..render.train_run import LIVE, run_log, run_step, run_summary
from ..render.train_steps import runs_bar, step
from ..services import ConceptHashError, Services
from ..training_records import IntakeReport, Plan, RunResult, RunStatus
from .train_draft import Draft

__all__ = ["Look", "Reports", "is_ready", "look_at", "minutes_of"]

Reports = Mapping[str, IntakeReport]  # by source
LOST = "These images are no longer kept here; send them again."
Measured = tuple[Plan | None, float | str | None]  # of which plan: the minutes, or why they cannot be told


def is_ready(report: IntakeReport | None) -> bool:
    """Tell whether there are images to train on."""
    return report is not None and not report.problems


def look_at(services: Services, draft: Draft, reports: Reports, visitor: str) -> "Look":
    """Ask how the visitor's runs stand, and say which step can be open: one that cannot leads back to the first."""
    states = {token: status_of(services, token) for token, _ in draft.runs}
    report = reports.get(draft.source)
    if report and report.intake and not services.training.keeps(visitor, report.intake):
        report = replace(report, intake="", problems=(LOST,))
    status = states.get(draft.run)
    is_done = status is not None and status.state == "done"
    can_open = {"data": True, "plan": is_ready(report), "run": status is not None, "result": is_done}
    return Look(services, draft, report, states, draft.step if can_open.get(draft.step, True) else "data", can_open)


def status_of(services: Services, token: str) -> RunStatus | None:
    """Return how a run stands; None where it is gone."""
    try:
        return services.training.status(token)
    except ConceptHashError:
        return None


def minutes_of(services: Services, visitor: str, plan: Plan) -> float | str | None:
    """Return how long a plan takes, a sentence where that cannot be told, None while it is being measured."""
    try:
        return services.training.estimate(visitor, plan)
    except ConceptHashError as error:
        return str(error)


@dataclass(frozen=True, eq=False)
class Look:
    """One look at everything; each property is the HTML of one piece of the tab."""

    services: Services
    draft: Draft
    report: IntakeReport | None
    states: Mapping[str, RunStatus | None]
    open: str
    can_open: Mapping[str, bool]

    @property
    def status(self) -> RunStatus | None:
        """How the chosen run stands."""
        return self.states.get(self.draft.run)

    @property
    def is_live(self) -> bool:
        """Whether anything may change by itself."""
        return any(status is not None and status.state in LIVE for status in self.states.values())

    def top(self) -> str:
        """Show the visitor's runs."""
        runs = [(t, name, status.state if status else "gone") for (t, name), status in self._runs()]
        return runs_bar(runs, self.draft.run)

    def data(self) -> str:
        """Show step Data."""
        body = ""
        if self.open == "data":
            body = data_step(
                self.report,
                source=self.draft.source,
                files=[(name, len(files)) for name, files in self.draft.files],
                class_name=self.draft.class_name,
                folders=self.services.training.folders(),
                page=self.draft.page,
                max_zip_bytes=self.services.settings.max_zip_bytes,
            )
        return self._step("data", body, data_summary(self.report), is_ready(self.report))

    def plan(self) -> str:
        """Show step Plan."""
        body = ""
        if self.open == "plan":
            training = self.services.training
            body = plan_step(
                self.draft.plan, self.draft.name, training.starts(), training.languages(), training.terms()
            )
        return self._step(
            "plan", body, plan_summary(self.draft.plan) if self.can_open["plan"] else "", self.can_open["run"]
        )

    def estimate(self, measured: Measured) -> str:
        """Show the estimated time where it is known for this plan, and the button that starts it."""
        if self.open != "plan":
            return ""
        return estimate_line(measured[1] if measured[0] == self.plan_to_run else None)

    def must_measure(self, measured: Measured) -> bool:
        """Whether the plan on the page has no time yet."""
        return self.open == "plan" and measured[0] != self.plan_to_run

    def run(self) -> str:
        """Show step Run."""
        status = self.status
        body = (
            run_step(status, is_confirming=self.draft.deleting == status.run) if status and self.open == "run" else ""
        )
        return self._step("run", body, run_summary(status), self.can_open["result"])

    def frames(self) -> str:
        """Show the maps of the watched images as they are now."""
        return watched_maps(self.status.frames) if self.status and self.open == "run" else ""

    def log(self) -> str:
        """Show the log of the run."""
        return run_log(self.status) if self.status and self.open == "run" else ""

    def result(self) -> str:
        """Show what came out in numbers, or why it cannot be shown."""
        found, body = self._found, ""
        if self.open == "result":
            body = result_step(found) if isinstance(found, RunResult) else notice(found or "")
        return self._step("result", body, result_summary(found if isinstance(found, RunResult) else None), False)

    def detail(self) -> str:
        """Show what came out in codes and maps."""
        return result_detail(self._found) if self.open == "result" and isinstance(self._found, RunResult) else ""

    @cached_property
    def _found(self) -> RunResult | str | None:
        """What came out of the run, or why it cannot be told."""
        try:
            return self.services.training.result(self.draft.run) if self.can_open["result"] else None
        except ConceptHashError as error:
            return str(error)

    @property
    def frames_shown(self) -> tuple[str, int]:
        """Which maps are shown: of which run, after which epoch."""
        frames = self.status.frames if self.status and self.open == "run" else ()
        return self.draft.run, frames[0].epoch if frames else -1

    @property
    def plan_to_run(self) -> Plan:
        """The plan with the images that were found."""
        return replace(self.draft.plan, intake=self.report.intake if self.report else "")

    def _step(self, name: str, body: str, summary: str, is_done: bool) -> str:
        return step(
            name, body, is_open=self.open == name, can_open=self.can_open[name], summary=summary, is_done=is_done
        )

    def _runs(self) -> list[tuple[tuple[str, str], RunStatus | None]]:
        return [((token, name), self.states.get(token)) for token, name in self.draft.runs]

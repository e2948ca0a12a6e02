"""The pieces of the Train tab: a card a step, the two upload buttons behind its drop zones, and two timers."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from .surface import SCRIPT, surface

__all__ = ["TICK", "TrainParts", "train_parts"]

TICK = 1.5  # seconds between two looks at a live run, or at how long a plan takes
DROPS = Path(__file__).resolve().parent.parent.parent / "assets" / "train.js"


@dataclass(frozen=True)
class TrainParts:
    """Everything on the tab that shows something, in the order of the page."""

    top: gr.HTML
    data: gr.HTML
    plan: gr.HTML
    estimate: gr.HTML
    run: gr.HTML
    frames: gr.HTML
    log: gr.HTML
    result: gr.HTML
    file: gr.HTML
    detail: gr.HTML
    zip: gr.UploadButton
    images: gr.UploadButton
    timer: gr.Timer
    stopwatch: gr.Timer

    @property
    def surfaces(self) -> tuple[gr.HTML, ...]:
        """All pieces that send ``act``."""
        return self.top, self.data, self.plan, self.estimate, self.run, self.result


def train_parts() -> TrainParts:
    """Put the pieces here."""
    with gr.Column(elem_id="ch-train"):
        top = surface(elem_id="ch-train-top")
        with gr.Column(elem_classes="ch-step"):
            data = gr.HTML(
                "",
                js_on_load=SCRIPT.read_text(encoding="utf-8") + DROPS.read_text(encoding="utf-8"),
                apply_default_css=False,
                padding=False,
                elem_id="ch-train-data",
            )
        with gr.Column(elem_classes="ch-step"):
            plan, estimate = surface(elem_id="ch-train-plan"), surface(elem_id="ch-train-estimate")
        with gr.Column(elem_classes="ch-step"):
            run, frames = surface(elem_id="ch-train-run"), surface(elem_id="ch-train-frames")
            log = surface(elem_id="ch-train-log")
        with gr.Column(elem_classes="ch-step"):
            result, file = surface(elem_id="ch-train-result"), surface(elem_id="ch-train-file")
            detail = surface(elem_id="ch-train-detail")
        with gr.Column(elem_id="ch-train-zip", elem_classes="ch-offstage"):  # its drop zone and button open it
            zip_button = gr.UploadButton("Upload a zip", file_types=[".zip"], type="filepath")
        with gr.Column(elem_id="ch-train-files", elem_classes="ch-offstage"):
            images = gr.UploadButton(
                "Upload images of a class", file_count="multiple", file_types=["image"], type="filepath"
            )
        timer, stopwatch = gr.Timer(TICK, active=False), gr.Timer(TICK, active=False)
    pieces = top, data, plan, estimate, run, frames, log, result, file, detail
    return TrainParts(*pieces, zip_button, images, timer, stopwatch)

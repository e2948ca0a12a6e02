"""Training by visitors: a queue with one worker at a time that outlives servers, and nothing that stays behind."""

import errno
import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import tiny_classes, tiny_model
from PIL import Image
from training_rig import make_service, make_settings, wait_for, zip_of_images

from concepthash.checkpoint import read_checkpoint, rename_concepts, save_checkpoint
from concepthash.config import LOSS_PRESETS
from concepthash.data import read_image_folder
from concepthash.encode import encode_table
from concepthash.encoder import Encoder
from concepthash.errors import CheckpointError, ConfigError, DataError, QueryError
from explorer.services import load_services
from explorer.services.galleries import GalleryShelf
from explorer.services.models import ModelShelf
from explorer.services.training import heartbeat, storage
from explorer.services.training.locks import is_held, try_lock, unlock
from explorer.services.training.names import folder_of_run, model_of_run, plain_name, slug
from explorer.services.training.pictures import flows_of
from explorer.services.training.report import ReportReader
from explorer.services.training.service import TrainingService
from explorer.services.training.supervisor import GATE
from explorer.services.training.worker import be_nice, train_command
from explorer.training_records import Plan

pytestmark = pytest.mark.skipif(os.name != "posix", reason="workers are looked after with POSIX locks")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint to start from, one that training ends with, with its gallery, and a zip of images."""
    root = tmp_path_factory.mktemp("made")
    save_checkpoint(root / "checkpoints" / "birds-8", tiny_model(), tiny_classes())
    checkpoint = save_checkpoint(root / "finished" / "model", tiny_model(), tiny_classes())
    with zipfile.ZipFile(zip_of_images(root / "images.zip")) as archive:
        archive.extractall(root)
    table = read_image_folder(root / "photos")
    encode_table(Encoder(checkpoint, "cpu"), table, root / "finished" / "model" / "gallery", progress=False)
    logits = np.linspace(-1, 1, 6 * 8).reshape(6, 8).astype(np.float32)
    np.savez(root / "finished" / "comparison.npz", before_logits=logits, after_logits=-logits, labels=np.arange(6))
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    for name in ("checkpoints", "finished"):
        (tmp_path / name).symlink_to(made / name)
    return tmp_path


@pytest.fixture
def service(root: Path) -> Iterator[TrainingService]:
    service = make_service(root)
    yield service
    (root / "mode").unlink(missing_ok=True)
    service.close()


@pytest.fixture
def archive(made: Path) -> Path:
    return made / "images.zip"


def plan_of(service: TrainingService, archive: Path, **changes: object) -> Plan:
    return replace(Plan(service.check_zip("visitor", archive).intake, "birds-8", epochs=3), **changes)  # type: ignore[arg-type]


def state(service: TrainingService, run: str) -> str:
    return service.status(run).state


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


def run_folder(root: Path, run: str) -> Path:
    return root / "cache" / "training" / "runs" / folder_of_run(run)


def hold(root: Path, service: TrainingService, archive: Path, **changes: object) -> str:
    """Start a run whose worker waits after its first epoch."""
    (root / "mode").write_text("hold")
    run = service.start("visitor", plan_of(service, archive, **changes), "held")
    wait_for(lambda: service.status(run).epoch == 1)
    return run


def pid_of(root: Path, run: str) -> int:
    return int((run_folder(root, run) / "worker.pid").read_text())


# Images


def test_images_are_checked_and_shown_before_anything_runs(service: TrainingService, archive: Path) -> None:
    report = service.check_zip("visitor", archive)
    assert (report.n_images, report.n_held_out, report.problems) == (18, 3, ())
    assert (report.classes[0].name, report.classes[0].n_images) == ("cactus wren", 6)
    for preview in report.classes:
        shown = [Image.open(io.BytesIO(content)) for content in preview.pictures]
        assert [(one.format, one.size, one.mode) for one in shown] == [("WEBP", (32, 24), "RGB")] * 3


def test_only_the_visitor_who_sent_images_can_train_on_them(service: TrainingService, archive: Path) -> None:
    plan = plan_of(service, archive)
    with pytest.raises(QueryError, match="send them again"):
        service.start("somebody else", plan, "theirs")
    service.forget("somebody else", plan.intake)
    assert service.start("visitor", plan, "mine")


def test_images_that_cannot_be_trained_on_leave_nothing_behind(root: Path, service: TrainingService) -> None:
    one_class = zip_of_images(root / "one.zip", classes=("marsh wren",))
    report = service.check_zip("visitor", one_class)
    assert report.intake == "" and any("two" in problem for problem in report.problems)
    (root / "none.zip").write_bytes(b"")
    with pytest.raises(DataError):
        service.check_zip("visitor", root / "none.zip")
    assert files_below(root / "cache" / "training" / "intakes") == []


def test_forgotten_images_are_gone_unless_a_run_uses_them(root: Path, service: TrainingService, archive: Path) -> None:
    plan = plan_of(service, archive)
    service.forget("visitor", plan.intake)
    assert files_below(root / "cache" / "training" / "intakes") == []
    plan = plan_of(service, archive)
    run = service.start("visitor", plan, "mine")
    service.forget("visitor", plan.intake)
    wait_for(lambda: state(service, run) == "done")
    assert len(files_below(root / "cache" / "training" / "intakes")) == 19
    service.delete(run)
    assert files_below(root / "cache" / "training" / "intakes") == []


def test_files_by_class_name_do_as_well(made: Path, service: TrainingService) -> None:
    photos = {folder.name: sorted(folder.iterdir()) for folder in (made / "photos").iterdir()}
    assert service.check_files("visitor", photos).n_images == 18
    with pytest.raises(DataError):
        service.check_files("visitor", {"../../up": photos["sooty tern"], "b": photos["marsh wren"]})


def test_only_folders_of_the_operator_can_be_named(made: Path, root: Path) -> None:
    service = make_service(root, train_data=(made / "photos",))
    assert service.folders() == ("photos",)
    report = service.check_folder("visitor", "photos")
    run = service.start("visitor", Plan(report.intake, "birds-8", epochs=2), "theirs")
    wait_for(lambda: state(service, run) == "done")
    service.delete(run)
    assert len(list((made / "photos").rglob("*.png"))) == 18
    for name in ("..", "/", str(made), "photos/../.."):
        with pytest.raises(QueryError, match="cannot be trained on"):
            service.check_folder("visitor", name)


def test_broken_images_are_named_and_left_out(root: Path, service: TrainingService, archive: Path) -> None:
    broken = root / "broken.zip"
    broken.write_bytes(archive.read_bytes())
    with zipfile.ZipFile(broken, "a") as opened:
        opened.writestr("photos/sooty tern/bad.png", b"no picture")
    report = service.check_zip("visitor", broken)
    assert report.problems == () and len(report.broken) == 1 and "bad.png" in report.broken[0]
    assert not [path for path in files_below(root / "cache" / "training") if path.name == "bad.png"]


def test_there_is_a_limit_of_sets_of_images(root: Path, archive: Path) -> None:
    service = make_service(root, max_intakes=1)
    hold(root, service, archive)
    with pytest.raises(QueryError, match="try again later"):
        service.check_zip("another", archive)
    service.close()


def test_many_pages_of_one_visitor_leave_room_for_the_others(root: Path, archive: Path) -> None:
    clock = [time.time()]
    service = make_service(root, now=lambda: clock[0], max_intakes=3)
    plans = []
    for page in range(3):
        plans.append(Plan(service.check_zip(f"page {page}", archive).intake, "birds-8", epochs=3))
        service._intakes.find(f"page {page}", plans[-1].intake)  # as a page that shows the plan
        clock[0] += 10
    run = service.start("page 0", plans[0], "mine")
    assert service.check_zip("another", archive).intake
    with pytest.raises(QueryError, match="send them again"):
        service.start("page 1", plans[1], "the one of the others that was left first")
    assert service.start("page 2", plans[2], "mine") and service.status(run)
    service.close()


def test_everything_repeated_is_counted(root: Path, service: TrainingService, archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened, zipfile.ZipFile(root / "twice.zip", "w") as twice:
        content = opened.read("photos/sooty tern/0.png")
        for name in opened.namelist():
            twice.writestr(name, opened.read(name))
        for number in range(250):
            twice.writestr(f"photos/sooty tern/copy {number}.png", content)
    report = service.check_zip("visitor", root / "twice.zip")
    assert report.n_duplicates == 250 and len(report.duplicates) == 200
    assert all("is the same picture as" in line for line in report.duplicates)


# Plans


@pytest.mark.parametrize(
    "changes",
    [
        {"start": "../birds-8"},
        {"start": ""},
        {"n_concepts": 0},
        {"n_bits": 30},
        {"n_bits": 10**9},
        {"n_concepts": True},
        {"epochs": 10**6},
        {"epochs": "3; rm"},
        {"language": "--out=/"},
        {"weights": (("clf", float("nan")),)},
        {"weights": (("clf", -1.0),)},
        {"weights": (("--out", 1.0),)},
        {"weights": (("clf", 1.0), ("clf", 2.0))},
    ],
)
def test_a_plan_that_cannot_be_is_refused(service: TrainingService, archive: Path, changes: dict[str, object]) -> None:
    plan = plan_of(service, archive)
    with pytest.raises(ConfigError):
        service.start("visitor", replace(plan, **changes), "mine")  # type: ignore[arg-type]


def test_what_can_be_planned_is_listed(service: TrainingService) -> None:
    assert service.starts() == ("birds-8",)
    assert service.languages()[-1][0] == "none"
    weights = {name: value for name, value in vars(LOSS_PRESETS["grounded"]).items() if name.endswith("_weight")}
    assert {f"{term}_weight": weight for term, weight, _ in service.terms()} == weights


def test_the_worker_is_told_the_plan_and_nothing_else(root: Path, service: TrainingService, archive: Path) -> None:
    plan = plan_of(service, archive, weights=(("csd", 0.5),), n_concepts=2, n_bits=8)
    run = service.start("visitor", plan, "$(rm -rf /) --out x")
    record = service._store.find(run)[1]
    words = list(train_command(make_settings(root), lambda name: Path("/ck") / name)(record, root / "o", root / "r"))
    assert words[1:5] == ["-m", "concepthash.train", "--from", "/ck/birds-8"]
    options = dict(zip(words[3::2], words[4::2], strict=False))
    assert options["--data"].endswith("/images") and "--gallery" in words
    assert words[words.index("--csd-weight") + 1] == "0.5" and words[words.index("--centers") + 1] == "learnable"
    assert not any("rm -rf" in word for word in words)
    from concepthash.train_options import make_parser

    parsed = make_parser("").parse_args(words[3:])
    assert (parsed.concepts, parsed.bits, parsed.epochs, parsed.hold_out) == (2, 8, 3, 0.2)


def test_minutes_are_measured_once_and_then_follow_the_plan(service: TrainingService, archive: Path) -> None:
    plan = plan_of(service, archive)
    assert service.estimate("visitor", plan) is None
    wait_for(lambda: service.estimate("visitor", plan))
    assert service.estimate("visitor", plan) == pytest.approx(2.0)
    assert service.estimate("visitor", replace(plan, epochs=6)) == pytest.approx(3.0)


def test_why_minutes_are_not_measured_is_said(
    root: Path, service: TrainingService, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(service, archive)
    gate = try_lock(root / "cache" / "training" / GATE)
    with pytest.raises(QueryError, match="while another training runs"):
        service.estimate("visitor", plan)
    unlock(gate)
    monkeypatch.setattr(service._speeds, "_output", lambda command: "")
    assert service.estimate("visitor", plan) is None
    wait_for(lambda: not service._speeds._is_timing)
    with pytest.raises(QueryError, match="could not be measured; start it all the same"):
        service.estimate("visitor", plan)
    assert not is_held(root / "cache" / "training" / GATE)


# Runs


def test_a_run_goes_from_images_to_a_model_that_is_on_nobodys_menu_until_it_is_opened(
    root: Path, service: TrainingService, archive: Path
) -> None:
    run = service.start("visitor", plan_of(service, archive), "My <b>wrens</b>\n")
    wait_for(lambda: state(service, run) == "done")
    status, result = service.status(run), service.result(run)
    assert status.name == "My <b>wrens</b>" and status.share == 1.0
    assert [(curve.name, curve.epochs) for curve in status.curves] == [("total", (1, 2, 3)), ("clf", (1, 2, 3))]
    assert status.accuracy is not None and status.accuracy.values == (0.5, 0.51, 0.52)
    assert "the fake worker begins" in status.log
    assert (result.map_before, result.map_after) == ((0.3, 0.2, 0.4), (0.8, 0.7, 0.9))
    assert len(result.flows) == 2 and result.flows[0].counts.sum() == 6 and result.flows[0].share_moved == 1.0
    models = ModelShelf(make_settings(root))
    galleries = GalleryShelf(make_settings(root), models)
    with pytest.raises(CheckpointError, match="no longer here"):
        models.checkpoint(result.model)
    name = service.open_model(run)
    assert name == result.model and models.checkpoint(name).config.n_bits == 8
    assert models.names == ("birds-8",) and run not in name and models.title(name) == "My <b>wrens</b>"
    shown = galleries.of(name)
    assert len(shown.gallery) == 18 and shown.kind == "own" and not shown.foreign
    assert [folder.parts[-3:] for folder in galleries.thumbnail_folders_of(name)] == [
        ("model", "gallery", "thumbnails")
    ]
    assert service.result(run).opened
    service.delete(run)
    with pytest.raises(CheckpointError, match="no longer here"):
        models.checkpoint(name)
    with pytest.raises(CheckpointError):
        galleries.of(name)


def test_a_shelf_forgets_a_model_that_was_deleted(root: Path, service: TrainingService, archive: Path) -> None:
    models, plan = ModelShelf(make_settings(root)), plan_of(service, archive, epochs=1)
    runs = [service.start("visitor", plan, "mine") for _ in range(2)]
    for run in runs:
        wait_for(lambda run=run: state(service, run) == "done")
    models.checkpoint(service.open_model(runs[0]))
    service.delete(runs[0])
    models.checkpoint(service.open_model(runs[1]))
    assert list(models._opened) == [model_of_run(runs[1])]


def test_the_zip_of_a_model_starts_another_server(root: Path, service: TrainingService, archive: Path) -> None:
    run = service.start("visitor", plan_of(service, archive), "Mêine Zäune/../x")
    wait_for(lambda: state(service, run) == "done")
    file = service.download(run)
    made = file.stat().st_ino
    assert file.name == "meine-zaune-x.zip" and service.download(run) == file and file.stat().st_ino == made
    with zipfile.ZipFile(file) as opened:
        assert opened.testzip() is None
        opened.extractall(root / "home")
    home = root / "home" / "meine-zaune-x"
    assert "--checkpoint meine-zaune-x" in (home / "README.txt").read_text()
    settings = replace(make_settings(root), checkpoint=str(home), checkpoints=root / "none", cache=root / "other")
    services = load_services(settings)
    info = services.info(services.default_model)
    assert (info.name, info.gallery_kind, info.n_gallery) == ("meine-zaune-x", "own", 18)
    services.training.close()


def test_the_zip_has_the_names_that_concepts_have_now(root: Path, service: TrainingService, archive: Path) -> None:
    run = service.start("visitor", plan_of(service, archive), "mine")
    wait_for(lambda: state(service, run) == "done")
    service.download(run)
    rename_concepts(run_folder(root, run) / "model", ["head", "tail"])
    with zipfile.ZipFile(service.download(run)) as opened:
        opened.extractall(root / "home")
    assert read_checkpoint(root / "home" / "mine").concept_names == ("head", "tail")


def test_one_run_trains_and_the_next_waits_and_is_told_so(root: Path, service: TrainingService, archive: Path) -> None:
    first = hold(root, service, archive)
    second = service.start("visitor", plan_of(service, archive), "second")
    third = service.start("visitor", plan_of(service, archive), "third")
    assert [service.status(run).ahead for run in (first, second, third)] == [0, 1, 2]
    assert state(service, second) == "queued" and "1 other run is" in service.status(second).said
    service.stop(second)
    assert state(service, second) == "stopped" and service.status(third).ahead == 1
    (root / "mode").unlink()
    wait_for(lambda: state(service, third) == "done")
    assert state(service, first) == "done" and state(service, second) == "stopped"
    service.resume(second)
    wait_for(lambda: state(service, second) == "done")


def test_two_servers_that_share_a_folder_have_one_worker_together(
    root: Path, service: TrainingService, archive: Path
) -> None:
    first, other = hold(root, service, archive), make_service(root)
    second = other.start("visitor", plan_of(other, archive), "second")
    for _ in range(20):
        other._supervisor.tick()
    assert state(other, second) == "queued" and other.status(first).state == "training"
    other.stop(first)  # by the server that started it
    wait_for(lambda: state(service, first) == "stopped")
    (root / "mode").unlink()
    wait_for(lambda: state(service, second) == "done" and state(other, second) == "done")
    other.close()


def test_a_stopped_run_goes_on_where_it_was(root: Path, service: TrainingService, archive: Path) -> None:
    run = hold(root, service, archive)
    service.stop(run)
    service.stop(run)  # a second signal would cut the worker short
    wait_for(lambda: state(service, run) == "stopped")
    assert "resume" in service.status(run).said and service.status(run).epoch == 1
    (root / "mode").unlink()
    service.resume(run)
    wait_for(lambda: state(service, run) == "done")
    assert service.status(run).curves[0].epochs == (1, 2, 3)
    with pytest.raises(QueryError, match="no resuming"):
        service.resume(run)


def test_a_worker_that_does_not_listen_is_ended(root: Path, service: TrainingService, archive: Path) -> None:
    (root / "mode").write_text("hold deaf")
    run = service.start("visitor", plan_of(service, archive), "deaf")
    wait_for(lambda: service.status(run).epoch == 1)
    service.stop(run)
    wait_for(lambda: state(service, run) == "stopped")


def test_a_worker_that_is_killed_leaves_a_sentence_and_can_be_resumed(
    root: Path, service: TrainingService, archive: Path
) -> None:
    run = hold(root, service, archive)
    os.kill(pid_of(root, run), signal.SIGKILL)
    wait_for(lambda: state(service, run) == "failed")
    said = service.status(run).said
    assert "signal 9" in said and "resume" in said
    (root / "mode").unlink()
    service.resume(run)
    wait_for(lambda: state(service, run) == "done")


@pytest.mark.parametrize(
    ("mode", "said"), [("refuse", "The images cannot be trained on; send others."), ("crash", "exit status 3")]
)
def test_a_worker_that_gives_up_says_why(
    root: Path, service: TrainingService, archive: Path, mode: str, said: str
) -> None:
    (root / "mode").write_text(mode)
    run = service.start("visitor", plan_of(service, archive), "bad")
    wait_for(lambda: state(service, run) == "failed")
    assert said in service.status(run).said
    with pytest.raises(CheckpointError, match="no model yet"):
        service.result(run)


def test_a_worker_killed_in_its_last_moment_is_resumed_to_its_end(
    root: Path, service: TrainingService, archive: Path
) -> None:
    (root / "mode").write_text("die-late")
    run = service.start("visitor", plan_of(service, archive), "late")
    wait_for(lambda: state(service, run) == "failed")
    service.resume(run)
    wait_for(lambda: state(service, run) == "done")
    assert service.open_model(run)


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="only Linux weighs sessions")
def test_what_is_only_timed_does_not_hold_back_the_server_beside_it() -> None:
    before = Path("/proc/self/autogroup").read_text()
    for alone in (False, True):
        with subprocess.Popen(["sleep", "60"], start_new_session=alone) as process:
            be_nice(process.pid)
            assert os.getpriority(os.PRIO_PROCESS, process.pid) >= 10
            weight = Path(f"/proc/{process.pid}/autogroup").read_text()
            assert weight.endswith("nice 10\n") if alone else weight == before
            process.kill()
    assert Path("/proc/self/autogroup").read_text() == before


def test_others_go_first_while_a_run_trains(root: Path, service: TrainingService, archive: Path) -> None:
    pid = pid_of(root, hold(root, service, archive))
    assert os.getpriority(os.PRIO_PROCESS, pid) == 10
    assert os.getsid(pid) == pid != os.getsid(0)


def test_a_run_that_is_deleted_leaves_nothing(root: Path, service: TrainingService, archive: Path) -> None:
    run = hold(root, service, archive)
    pid = pid_of(root, run)
    service.delete(run)
    with pytest.raises(QueryError, match="not here"):
        service.status(run)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    service.sweep()
    assert not run_folder(root, run).exists()
    (root / "mode").unlink()
    after = service.start("visitor", plan_of(service, archive), "after")
    wait_for(lambda: state(service, after) == "done")


def test_the_images_of_a_deleted_run_are_gone_unless_another_run_uses_them(
    root: Path, service: TrainingService, archive: Path
) -> None:
    plan, images = plan_of(service, archive), root / "cache" / "training" / "intakes"
    first, second = (service.start("visitor", plan, name) for name in ("first", "second"))
    wait_for(lambda: state(service, first) == "done" == state(service, second))
    service.delete(first)
    assert len(files_below(images)) == 19 and service.keeps("visitor", plan.intake)
    service.delete(second)
    assert files_below(images) == []
    assert not service.keeps("visitor", plan.intake)
    service.forget("visitor", plan.intake)  # by the page that still shows them
    with pytest.raises(QueryError, match="send them again"):
        service.estimate("visitor", plan)


def test_closing_a_server_lets_its_worker_save(root: Path, service: TrainingService, archive: Path) -> None:
    run = hold(root, service, archive)
    service.close()
    later = make_service(root)
    assert state(later, run) == "stopped"
    (root / "mode").unlink()
    later.resume(run)
    wait_for(lambda: state(later, run) == "done")


def start_and_kill_a_server(root: Path, archive: Path) -> str:
    """Let a server start a run that holds, kill the server, and return the run."""
    (root / "mode").write_text("hold")
    words = [sys.executable, str(Path(__file__).parents[2] / "training_server.py"), str(root), str(archive)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        run = server.stdout.readline().strip()
        report = run_folder(root, run) / "report.jsonl"
        wait_for(lambda: report.is_file() and '"epoch": 1' in report.read_text())
        server.kill()
    return run


def test_a_worker_that_outlives_its_server_is_looked_after_by_the_next(root: Path, archive: Path) -> None:
    run = start_and_kill_a_server(root, archive)
    service = make_service(root)
    assert state(service, run) == "training"
    second = service.start("visitor", plan_of(service, archive), "second")
    for _ in range(20):
        service._supervisor.tick()
    assert state(service, second) == "queued"
    service.stop(run)
    wait_for(lambda: state(service, run) == "stopped")
    (root / "mode").unlink()
    service.resume(run)
    wait_for(lambda: state(service, run) == "done")
    service.close()


def test_a_run_whose_server_and_worker_are_gone_is_offered_again(root: Path, archive: Path) -> None:
    lost = make_service(root)
    run = hold(root, lost, archive)
    lost._supervisor._heartbeat.close()  # as if killed: nobody looks after the run, and the server's locks are free
    (own,) = lost._supervisor._own.values()
    lost._supervisor._let_go(run_folder(root, run))
    own.process.kill()
    own.process.wait()
    service = make_service(root)
    wait_for(lambda: state(service, run) == "stopped")
    assert "server was ended" in service.status(run).said
    (root / "mode").unlink()
    service.resume(run)
    wait_for(lambda: state(service, run) == "done")
    service.close()


def test_many_visitors_at_once_do_no_harm(root: Path, service: TrainingService, archive: Path) -> None:
    plan, runs, errors = plan_of(service, archive, epochs=2), list[str](), list[Exception]()

    def visit() -> None:
        try:
            run = service.start("visitor", plan, "one of many")
            for _ in range(50):
                service.status(run)
            runs.append(run)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=visit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(set(runs)) == 6
    wait_for(lambda: all(state(service, run) == "done" for run in runs))


def test_a_queue_has_an_end(root: Path, archive: Path) -> None:
    service = make_service(root, max_waiting_runs=1)
    hold(root, service, archive)
    service.start("visitor", plan_of(service, archive), "waits")
    with pytest.raises(QueryError, match="Too many runs"):
        service.start("visitor", plan_of(service, archive), "too many")
    service.close()


# A full disk


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_at_the_start_is_a_sentence_and_leaves_nothing(
    root: Path, service: TrainingService, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(service, archive)
    monkeypatch.setattr(storage, "write_atomically", refuse)
    with pytest.raises(DataError, match="disk of this server is full"):
        service.start("visitor", plan, "mine")
    with pytest.raises(DataError, match="disk of this server is full"):
        service.check_zip("visitor", archive)
    assert list((root / "cache" / "training" / "runs").iterdir()) == []
    assert len(list((root / "cache" / "training" / "intakes").iterdir())) == 1


def test_how_a_run_ended_is_known_though_the_disk_is_full(
    root: Path, service: TrainingService, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = hold(root, service, archive)
    with monkeypatch.context() as full:
        full.setattr(storage, "write_atomically", refuse)
        os.kill(pid_of(root, run), signal.SIGKILL)
        wait_for(lambda: state(service, run) == "failed")
        assert '"running"' in (run_folder(root, run) / "run.json").read_text()
    wait_for(lambda: '"failed"' in (run_folder(root, run) / "run.json").read_text())


def test_a_zip_that_does_not_fit_is_a_sentence_and_leaves_nothing(
    root: Path, service: TrainingService, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = service.start("visitor", plan_of(service, archive), "mine")
    wait_for(lambda: state(service, run) == "done")
    with monkeypatch.context() as full:
        full.setattr(zipfile.ZipFile, "write", refuse)
        with pytest.raises(DataError, match="disk of this server is full"):
            service.download(run)
    assert not [path for path in files_below(run_folder(root, run)) if "zip" in path.name or "partial" in path.name]
    assert service.download(run).is_file()


# Secrets


def test_no_secret_is_written_listed_or_logged(
    root: Path, service: TrainingService, archive: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    plan = plan_of(service, archive)
    run = service.start("visitor", plan, "mine")
    wait_for(lambda: state(service, run) == "done")
    model = service.open_model(run)
    service.download(run)
    for secret in (run, plan.intake, model, model.removeprefix("run-")):
        assert len(secret) >= 22
        for path in files_below(root / "cache"):
            assert secret not in str(path) and secret.encode() not in path.read_bytes()
        assert secret not in caplog.text
        assert not any(secret in line for line in service.status(run).log)


def test_the_log_shows_no_folder_of_the_server(root: Path, service: TrainingService, archive: Path) -> None:
    run = service.start("visitor", plan_of(service, archive), "mine")
    wait_for(lambda: state(service, run) == "done")
    with (run_folder(root, run) / "log.txt").open("a") as log:
        log.write(f"cannot read {service._store.find(run)[1].data}/x.png\r   1%\r  50% of {run_folder(root, run)}\n")
    assert service.status(run).log[-1].startswith("50% of …")
    assert not any(str(root) in line for line in service.status(run).log)


def test_neither_log_nor_end_of_a_run_tells_where_the_server_keeps_things(
    root: Path, service: TrainingService, archive: Path
) -> None:
    run = service.start("visitor", plan_of(service, archive), "mine")
    wait_for(lambda: state(service, run) == "done")
    folders = (sys.prefix, sys.base_prefix, str(Path.home()), str(root / "cache"), str(root / "checkpoints"))
    words = [f'File "{folder}/x.py"' for folder in folders]
    with (run_folder(root, run) / "log.txt").open("a") as log:
        log.write("\n".join(words))
    folder, record = service._store.find(run)
    service._store.save(folder, replace(record, state="failed", said=" ".join(words)))
    status = service.status(run)
    assert status.log[-5:] == ('File "…/x.py"',) * 5 and status.said == " ".join(status.log[-5:])


@pytest.mark.parametrize("name", ["", "..", "../../etc", "a" * 22, "run-" + "0" * 32, "x" * 500, "ä" * 22])
def test_a_name_that_is_no_run_finds_nothing(service: TrainingService, name: str) -> None:
    for ask in (service.status, service.stop, service.resume, service.delete, service.result, service.open_model):
        with pytest.raises(QueryError):
            ask(name)


@pytest.mark.parametrize("name", ["run-", "run-../../../x", "run-" + "0" * 32, "run-" + "A" * 32])
def test_a_name_that_is_no_opened_model_is_refused_without_a_list(root: Path, name: str) -> None:
    models = ModelShelf(make_settings(root))
    assert models.private.folder(name) is None
    with pytest.raises(CheckpointError):
        models.checkpoint(name)


def test_one_who_knows_the_model_cannot_tell_the_run() -> None:
    model = model_of_run("a" * 22)
    assert model.startswith("run-") and "a" * 22 not in model
    assert folder_of_run("a" * 22) not in model
    assert model != model_of_run("b" * 22)


def test_what_visitors_call_a_run_is_made_harmless() -> None:
    assert plain_name("a\n\x00b\u202ec  d" + "e" * 100) == "a b c d" + "e" * 53
    assert plain_name(" \n") == "my model"
    assert [slug(name) for name in ("../../x", "CON", "Ünï", "\u9ce5", "a/b\\c")] == [
        "x",
        "con",
        "uni",
        "my-model",
        "a-b-c",
    ]


def test_a_server_on_which_training_is_off_does_nothing(root: Path, archive: Path) -> None:
    service = make_service(root, may_train=False)
    for ask in (
        lambda: service.check_zip("visitor", archive),
        lambda: service.check_files("visitor", {}),
        lambda: service.check_folder("visitor", "photos"),
        lambda: service.start("visitor", Plan("", "birds-8"), "mine"),
        lambda: service.estimate("visitor", Plan("", "birds-8")),
        lambda: service.status("a" * 22),
        lambda: service.open_model("a" * 22),
        lambda: service.download("a" * 22),
    ):
        with pytest.raises(ConfigError, match="off on this server"):
            ask()
    assert not (root / "cache").exists()


# Time


def test_what_nobody_asks_for_is_gone_after_a_while(root: Path, archive: Path) -> None:
    clock = [time.time()]
    service = make_service(root, now=lambda: clock[0], training_hours=1.0)
    used, unused = plan_of(service, archive), plan_of(service, archive)
    (root / "cache" / "training" / "intakes" / "half-made").mkdir()
    run = service.start("visitor", used, "mine")
    wait_for(lambda: state(service, run) == "done")
    clock[0] += 3000
    service.status(run)
    clock[0] += 3000
    service.sweep()
    assert len(list((root / "cache" / "training" / "intakes").iterdir())) == 1
    assert state(service, run) == "done"
    with pytest.raises(QueryError, match="send them again"):
        service.start("visitor", unused, "late")
    clock[0] += 3700
    service.sweep()
    service.sweep()
    assert files_below(root / "cache" / "training" / "runs") == []
    assert files_below(root / "cache" / "training" / "intakes") == []
    service.close()


def test_images_are_swept_though_nobody_ever_starts_a_run(
    root: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "CHORES", 0.0)
    clock = [time.time()]
    service = make_service(root, now=lambda: clock[0], training_hours=1.0)
    service.check_zip("visitor", archive)
    clock[0] += 4000
    wait_for(lambda: files_below(root / "cache" / "training" / "intakes") == [], seconds=20)
    service.close()


# Reports and pictures


def test_a_report_is_read_as_it_grows_and_damage_counts_for_nothing(tmp_path: Path) -> None:
    file, reader = tmp_path / "report.jsonl", ReportReader()
    assert reader.progress(file).phase == "preparing"
    file.write_text('{"event": "launch", "time": 1}\n{"event": "features", "time": 2, "done": 1, "total": 4}\n{"eve')
    first = reader.progress(file)
    assert first.features == (1, 4) and first.preparing_left() == 3.0
    with file.open("a") as opened:
        opened.write('nt": 1}\n[]\n{"event": "epoch"}\n{"event": "_move", "phase": 3}\n')
        opened.write('{"event": "begin", "time": 5, "epochs": 2, "n_train": 8, "n_test": 2, "steps": 4}\n')
        opened.write('{"event": "epoch", "time": 9, "epoch": 1, "losses": {"clf": 1}, "seconds_left": 4}\n')
    progress = reader.progress(file)
    assert (progress.phase, progress.epoch, progress.step) == ("training", 1, 4)
    assert progress.seconds_left(10) == 3.0 and first.phase == "preparing"
    assert progress.curves()[0].values == (1.0,)


def test_sub_codes_flow_from_the_most_frequent_on() -> None:
    before = np.array([[1, 1, 1], [1, 1, -1], [-1, 1, 1], [-1, -1, -1]], np.float32)
    after = np.array([[1, -1], [1, 1], [-1, 1], [-1, 1]], np.float32)
    (flow,) = flows_of({"before_logits": before[:, :2], "after_logits": after}, 1, ("wing",))
    assert flow.before == ("11", "00", "01") and flow.after == ("01", "10", "11")
    assert flow.counts.tolist() == [[0, 1, 1], [1, 0, 0], [1, 0, 0]]
    assert flow.share_moved == pytest.approx(0.5)
    (other,) = flows_of({"before_logits": before, "after_logits": after}, 1, ("wing",))
    assert other.share_moved == pytest.approx(0.0)
    assert flows_of({}, 1, ("wing",)) == ()


def test_a_checkpoint_with_a_gallery_inside_shows_that(made: Path, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, checkpoint=str(made / "finished" / "model"))
    models = ModelShelf(settings)
    shown = GalleryShelf(settings, models).of("model")
    assert shown.kind == "own" and len(shown.gallery) == 18
    assert shown.gallery.fingerprint == read_checkpoint(made / "finished" / "model").fingerprint

"""A worker that trains nothing: it reports as `concepthash.train` does, and does as a file beside its data says."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

is_to_stop = False


def tell(report, event, **fields):
    with report.open("a") as opened:
        opened.write(json.dumps({"event": event, "time": time.time()} | fields) + "\n")


def stop(*_):
    global is_to_stop
    is_to_stop = True
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one is the end


def modes(mode):
    return mode.read_text().split() if mode.exists() else []


def wait_while(mode, word):
    while word in modes(mode) and not is_to_stop:
        time.sleep(0.02)


def main():
    finished, mode, report, out, epochs = sys.argv[1:6]
    mode, report, out = Path(mode), Path(report), Path(out)
    if "estimate" in "".join(sys.argv[6:]):
        print(json.dumps({"features": 30.0, "training": 60.0, "finishing": 30.0, "seconds": 120.0}))
        sys.exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in modes(mode) else stop)
    print("the fake worker begins", file=sys.stderr)
    if (out / "config.json").exists():
        shutil.rmtree(out / "run")
        sys.exit(0)
    state = out / "run" / "epoch"
    state.parent.mkdir(parents=True, exist_ok=True)
    tell(report, "features", done=1, total=4)
    if "refuse" in modes(mode):
        tell(report, "error", said="The images cannot be trained on; send others.")
        sys.exit(2)
    if "crash" in modes(mode):
        os._exit(3)
    first = int(state.read_text()) if state.exists() else 0
    tell(report, "begin", epochs=int(epochs), n_train=12, n_test=6, steps=2, classes=["a", "b", "c"], watched=[])
    for epoch in range(first, int(epochs)):
        tell(report, "step", epoch=epoch, step=2 * epoch)
        if epoch == first + 1:
            wait_while(mode, "hold")
        if is_to_stop:
            tell(report, "stopped", epoch=epoch, step=2 * epoch)
            sys.exit(75)
        state.write_text(str(epoch + 1))
        losses = {"clf": 1 / (epoch + 1), "total": 2 / (epoch + 1)}
        tell(
            report,
            "epoch",
            epoch=epoch + 1,
            losses=losses,
            map=0.5 + epoch / 100,
            seconds_left=float(int(epochs) - epoch - 1),
        )
    tell(report, "finishing")
    shutil.copy(Path(finished).parent / "comparison.npz", report.parent / "comparison.npz")
    tell(report, "figures", before={"map": 0.3, "interval": [0.2, 0.4]}, after={"map": 0.8, "interval": [0.7, 0.9]})
    shutil.copytree(finished, out, dirs_exist_ok=True)
    if "die-late" in modes(mode):
        os.kill(os.getpid(), signal.SIGKILL)
    shutil.rmtree(out / "run")
    tell(report, "done", checkpoint=str(out))


if __name__ == "__main__":
    main()

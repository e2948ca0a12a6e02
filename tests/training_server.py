"""A server to be killed: it starts one run of the fake worker on the images in a zip, and looks after it for ever."""

import sys
import time
from pathlib import Path


def main(root: Path, archive: Path) -> None:
    """Start the run, say its secret name, and wait for the end."""
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    from training_rig import make_service

    from explorer.training_records import Plan

    service = make_service(root)
    intake = service.check_zip("visitor", archive).intake
    print(service.start("visitor", Plan(intake, "birds-8", epochs=3), "left behind"), flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

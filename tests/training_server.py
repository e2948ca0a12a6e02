"""A server to be killed: it starts one run of the fake worker on the images in a zip, and looks after it for ever."""

import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from training_rig import make_service  # noqa: E402

from explorer.training_records import Plan  # noqa: E402

root, archive = Path(sys.argv[1]), Path(sys.argv[2])
service = make_service(root)
intake = service.check_zip("visitor", archive).intake
print(service.start("visitor", Plan(intake, "birds-8", epochs=3), "left behind"), flush=True)
time.sleep(600)

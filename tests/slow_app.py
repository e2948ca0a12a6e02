"""The app on a machine too busy to show its page at once, with a model that takes ``SLOW_SECONDS`` for every
explanation of an image that is not the first one."""

import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from app import NO_TELEMETRY, main


def slow_down(seconds: float) -> None:
    os.environ |= NO_TELEMETRY
    from gradio import networking

    from concepthash.encoder import Encoder

    explain, n_calls = Encoder.explain_batch, [0]

    def slowly(self: Encoder, *args: Any) -> Any:
        n_calls[0] += 1
        if n_calls[0] > 1:
            time.sleep(seconds)
        return explain(self, *args)

    Encoder.explain_batch = slowly  # type: ignore[method-assign]
    networking.url_ok = lambda url: False


if __name__ == "__main__":
    slow_down(float(os.environ["SLOW_SECONDS"]))
    sys.exit(main())

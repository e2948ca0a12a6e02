"""``python -m tests.benchmarks.large_gallery``: a page of Match in a gallery of a million, against its search alone.

The gallery shows the pictures of a real one again and again, with noise on their code logits. In one process the page
as the tab asks for it (``page_ms``: query image, search, counts, facts of its images) and the search alone
(``search_ms``) take turns; ``page_over_search`` is the ratio of the 95th percentiles. ``memory_over_codes``: the memory
of ``python app.py`` with this gallery less that with the real one, after the same pages, over the bytes of the codes;
medians of several starts of each, in turns, since one start differs from the next by as much as the codes. Memory is
what the processes hold of data, codes that are mapped among them; pages of programs and libraries (``program_mb``), of
which the large gallery's statements touch more, are apart.
"""

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from playwright.sync_api import sync_playwright

from concepthash.codes import binarize
from concepthash.gallery import ConceptRule, Query
from explorer.services import load_services
from explorer.settings import Settings
from tests.app_process import find_chromium, free_port, wait_for

ROOT = Path(__file__).parents[2]
NOISE = "(hash(r * 1000 + i) % 2000 - 1000.0) / 1000"  # in [-1, 1)


def enlarge(real: Path, out: Path, n: int) -> Path:
    """Copy a gallery, each image many times, until there are n."""
    out.mkdir()
    shutil.copy(real / "gallery.duckdb", out / "gallery.duckdb")
    with duckdb.connect(str(out / "gallery.duckdb")) as database:
        facts = dict(database.execute("SELECT key, value FROM provenance").fetchall())
        n_bits, n_concepts = int(facts["n_bits"]), int(facts["n_concepts"])
        n_real = (database.execute("SELECT count(*) FROM images").fetchone() or (0,))[0]
        changes = [
            'r AS "row"',
            "image_id || '#' || r AS image_id",
            "noisy AS code_logits",
            *(_number(64 * w, min(64, n_bits - 64 * w), "i - 1", f"code{w}") for w in range(-(-n_bits // 64))),
        ]
        size = n_bits // n_concepts
        changes += [_number(size * m, size, f"{size} - i", f"sub{m}") for m in range(n_concepts)]
        noisy = f"list_transform(code_logits, lambda x, i: (x + {NOISE})::FLOAT) AS noisy"
        database.execute(
            f"CREATE TABLE many AS SELECT * EXCLUDE (noisy, r) REPLACE ({', '.join(changes)}) FROM "
            f'(SELECT *, {noisy} FROM range({n}) AS s(r) JOIN images ON "row" = r % {n_real} ORDER BY r)'
        )
        database.execute("DROP TABLE images")
        database.execute("ALTER TABLE many RENAME TO images")
        database.execute('ALTER TABLE images ADD PRIMARY KEY ("row")')
        database.execute("CREATE INDEX image_ids ON images (image_id)")
        root = (real / facts["data_root"]).resolve()
        database.execute("UPDATE provenance SET value = ? WHERE key = 'data_root'", [str(root)])
    return out


def _number(first: int, n: int, place: str, name: str) -> str:
    """SQL for n bits from ``first`` on as one signed number; ``place`` says where bit i, from 1, stands in it."""
    weight = f"(CASE {place} WHEN 63 THEN -1 ELSE 1 END) * (1::HUGEINT << ({place})::INTEGER)"
    bits = f"list_transform(noisy[{first + 1}:{first + n}], lambda x, i: CASE WHEN x > 0 THEN {weight} ELSE 0 END)"
    return f"list_sum({bits})::BIGINT AS {name}"


def page_times(gallery: Path, cache: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds of whole pages and of their searches, by what each concept must satisfy."""
    services = load_services(Settings(gallery=str(gallery), cache=cache, device="cpu"))
    name = services.default_model
    opened = services.photos.shown_gallery(name).gallery
    times: dict[str, dict[str, list[float]]] = {}
    radii = {"all ignored": (-1,) * opened.n_concepts, "one exact": (0,) + (-1,) * (opened.n_concepts - 1)}
    for i, (kind, agree) in itertools.product(range(rounds), radii.items()):
        image = services.photos.random_image(name, "")
        code = binarize(services.explain.code_logits(name, "", image))
        rules = tuple(ConceptRule("ignore" if radius < 0 else "exact") for radius in agree)
        row = opened.row_of(image.partition(":")[2])
        query = Query(tuple(map(bool, code)), rules, k=24, exclude_row=row)
        asked = {
            "page": partial(services.match.match, name, "", image, agree=agree),
            "search": partial(opened.search, query),
        }
        kept = times.setdefault(kind, {what: [] for what in asked})
        for what in sorted(asked, reverse=bool(i % 2)):
            started = time.perf_counter()
            asked[what]()
            if i >= 3:
                kept[what].append(1000 * (time.perf_counter() - started))
    return {
        kind: {
            **{f"{what}_ms": [round(float(v), 2) for v in np.percentile(kept[what], [50, 95])] for what in kept},
            "page_over_search": round(float(np.percentile(kept["page"], 95) / np.percentile(kept["search"], 95)), 2),
        }
        for kind, kept in times.items()
    }


def app_megabytes(gallery: Path, cache: Path, n_pages: int) -> tuple[float, float]:
    """Memory of ``python app.py`` after some pages of Match, in 10⁶ bytes: data, and pages of programs."""
    port = free_port()
    command = [
        sys.executable,
        "app.py",
        "--port",
        str(port),
        "--gallery",
        str(gallery),
        "--device",
        "cpu",
        "--no-train",
    ]
    environment = os.environ | {"CONCEPTHASH_CACHE": str(cache)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/", process, cache)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
                page = browser.new_page()
                page.goto(f"http://127.0.0.1:{port}/")
                page.get_by_role("tab", name="Match").click()
                page.locator(".ch-results li").first.wait_for(timeout=60_000)
                for _ in range(n_pages):
                    before = page.locator(".ch-results").inner_html()  # its text may be the same for two images
                    page.get_by_role("button", name="Random").click()
                    page.wait_for_function(
                        "before => document.querySelector('.ch-results')?.innerHTML !== before", arg=before
                    )
                browser.close()
            return resident(Path(f"/proc/{process.pid}/smaps").read_text())
        finally:
            process.terminate()


def resident(maps: str) -> tuple[float, float]:
    """10⁶ bytes that are in memory, by Linux's account of a process: data, and pages of programs."""
    sums, is_program = [0, 0], False
    for line in maps.splitlines():
        fields = line.split()
        if not fields[0].endswith(":"):  # a map begins
            is_program = bool(re.search(r"\.so\b|/python[0-9.]*$", fields[-1]))
        elif fields[0] == "Rss:":
            sums[is_program] += int(fields[1])
    return sums[0] * 1024 / 1e6, sums[1] * 1024 / 1e6


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.large_gallery", description=__doc__)
    parser.add_argument("--gallery", type=Path, default=ROOT / "assets" / "galleries" / "aviary-32", help="a real one")
    parser.add_argument("--n", type=int, default=1_000_000, help="images of the large one")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--pages", type=int, default=10, help="pages before memory is measured")
    parser.add_argument("--starts", type=int, default=5, help="of the app with each gallery")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--json", action="store_true", help="there is no other output; for likeness with the others")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        large, cache = enlarge(options.gallery.resolve(), Path(folder) / "large", options.n), Path(folder) / "cache"
        figures: dict[str, Any] = {"n": options.n, "build_s": round(time.perf_counter() - started, 1)}
        figures |= page_times(large, cache, options.rounds)
        if not options.no_memory:
            starts: dict[str, list[tuple[float, float]]] = {"real": [], "large": []}
            for _ in range(options.starts):
                for name, path in (("real", options.gallery), ("large", large)):
                    starts[name].append(app_megabytes(path, cache, options.pages))
            data, programs = ({name: float(np.median(np.array(starts[name])[:, i])) for name in starts} for i in (0, 1))
            codes = options.n * 8 / 1e6
            figures["memory_mb"] = {name: round(value, 1) for name, value in data.items()} | {"codes": codes}
            figures["program_mb"] = {name: round(value, 1) for name, value in programs.items()}
            figures["memory_over_codes"] = round((data["large"] - data["real"]) / codes, 2)
            figures["starts_mb"] = {name: [round(value, 1) for value, _ in values] for name, values in starts.items()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""Only thumbnails and Gradio's own files leave the server, and no visitor gets what another one sent."""

import base64
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from live_page import LEAKS, live_page
from PIL import Image

from explorer.doors import FUNCTIONS
from explorer.services import Services

pytestmark = pytest.mark.filterwarnings(*LEAKS)
ROOT = Path(__file__).parents[3]


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (shade, 20, 20)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def client(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads").resolve()))
        with live_page(services) as address, httpx.Client(base_url=address, timeout=60) as client:
            yield client


@pytest.fixture
def secrets(services: Services) -> list[Path]:
    settings = services.settings
    galleries = list(settings.cache.rglob("*.duckdb"))
    weights = list(settings.checkpoints.rglob("weights.safetensors"))
    assert galleries and weights
    return [
        Path("/etc/passwd"),
        ROOT / "app.py",
        ROOT / "explorer" / "settings.py",
        ROOT / ".git" / "config",
        *galleries,
        *weights,
    ]


def ways(path: Path, inside: Path) -> Iterator[str]:
    """Addresses that might lead to a file; ``inside`` is a folder that is served."""
    up = "../" * (len(inside.parts) - 1)
    for text in (f"{path}", f"{inside}/{up}{str(path)[1:]}", f"{inside}/..{path}", path.name, f"./{path.name}"):
        for written in (text, quote(text, safe=""), quote(quote(text, safe=""), safe=""), text.replace("../", "..%2f")):
            for route in ("gradio_api/file=", "file=", "gradio_api/file/", "static/", "assets/", "svelte/"):
                yield f"/{route}{written}"


def test_no_way_leads_to_a_file_that_is_not_served(
    client: httpx.Client, services: Services, secrets: list[Path]
) -> None:
    inside = services.galleries.thumbnail_folders()[-1]
    for secret in secrets:
        content = secret.read_bytes()[:200] if secret.is_file() else b"nothing"
        for way in ways(secret, inside):
            answer = client.get(httpx.URL(client.base_url.join("/"), raw_path=way.encode()))
            assert answer.status_code in (307, 400, 403, 404, 405) or content not in answer.content, way
            assert answer.status_code < 500, way


def test_a_thumbnail_is_served(client: httpx.Client, services: Services) -> None:
    thumbnail = services.photos.strip("birds-8", "", 0, 1).cards[0].path
    assert client.get(f"/gradio_api/file={thumbnail}").status_code == 200


def test_nobody_reads_an_upload_back_even_with_its_name(client: httpx.Client) -> None:
    path = client.post("/gradio_api/upload", files={"files": ("owl.png", picture(1))}).json()[0]
    assert Path(path).read_bytes() == picture(1)
    folder, name = Path(path).parent, Path(path).name
    for way in (path, quote(path, safe=""), f"{folder}/../{folder.name}/{name}", f"{folder}/./{name}"):
        for route in ("file=", "file/"):
            answer = client.get(httpx.URL(client.base_url.join("/"), raw_path=f"/gradio_api/{route}{way}".encode()))
            assert answer.status_code in (403, 404) and picture(1) not in answer.content, way


@pytest.mark.parametrize(
    "route",
    [
        "proxy=http://127.0.0.1:1/",
        "deep_link?session_hash=a",
        "process_recording",
        "component_server",
        "component_server/",
        "upload_progress?upload_id=a",
        "upload?upload_id=a",
        "upload?a=b&upload%5fid=a",
        "vibe-edit",
        "runs",
        "profiling/x",
    ],
)
def test_routes_that_the_page_does_not_use_are_closed(route: str, client: httpx.Client) -> None:
    assert client.get(f"/gradio_api/{route}").status_code == 404
    assert client.post(f"/gradio_api/{route}", content=b"{}").status_code == 404


@pytest.mark.parametrize("name", ["%00", "a" * 300, "a%00.png", "%ff%fe", "C:%5cWindows", "~root/.ssh", "con:"])
@pytest.mark.parametrize(
    "route", ["gradio_api/file=", "gradio_api/file/", "static/", "assets/", "", "gradio_api/info/"]
)
def test_a_name_that_no_file_has_is_no_error_of_the_server(route: str, name: str, client: httpx.Client) -> None:
    assert client.get(httpx.URL(client.base_url.join("/"), raw_path=f"/{route}{name}".encode())).status_code < 500


@pytest.mark.parametrize("prefix", ["upload:", "guest:"])
def test_one_visitors_picture_is_not_found_by_another(prefix: str, client: httpx.Client, services: Services) -> None:
    content = picture(2)
    name = prefix + hashlib.sha256(content).hexdigest()[:32]
    mine = client.post("/gradio_api/run/classify", json={"data": [base64.b64encode(content).decode(), "", 1]})
    assert mine.status_code == 200
    services.photos._uploads.keep("me", "owl.png", content)
    theirs = client.post("/gradio_api/run/classify", json={"data": [name, "", 1]})
    assert theirs.status_code == 422 and "base64" in theirs.json()["error"]


def test_a_call_with_one_model_changes_nothing_for_a_call_without(client: httpx.Client) -> None:
    content = base64.b64encode(picture(3)).decode()

    def asked(model: str) -> str:
        answer = client.post("/gradio_api/run/classify", json={"data": [content, model, 1]})
        return str(answer.json()["data"][0]["checkpoint"])

    assert [asked(""), asked("birds-6"), asked("")] == ["birds-8", "birds-6", "birds-8"]


def test_every_listener_of_the_page_is_private(client: httpx.Client) -> None:
    listeners = client.get("/config").json()["dependencies"]
    assert {one["api_name"] for one in listeners if one["api_visibility"] != "private"} <= set(FUNCTIONS)
    assert set(client.get("/gradio_api/info").json()["named_endpoints"]) == {f"/{name}" for name in FUNCTIONS}


def test_no_listener_of_the_page_runs_past_the_queue(client: httpx.Client) -> None:
    listeners = client.get("/config").json()["dependencies"]
    private = [one["id"] for one in listeners if one["api_name"] not in FUNCTIONS]
    asked = [{"fn_index": id_, "data": []} for id_ in private]
    asked += [one | {"session_hash": "somebody"} for one in asked]
    answers = [client.post("/gradio_api/run/x", json=one) for one in asked]
    assert answers and {answer.status_code for answer in answers} == {404}

"""Whatever is asked of the public functions, the answer is an answer or a refusal in a sentence, and soon."""

from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from fuzzing import DOORS, PARAMETERS, SECONDS, Question, ask, questions, sensible
from hypothesis import HealthCheck, given, settings
from live_page import LEAKS, live_page

from explorer.doors import FUNCTIONS
from explorer.services import Services

pytestmark = pytest.mark.filterwarnings(*LEAKS)


@pytest.fixture(scope="module")
def client(services: Services) -> Iterator[httpx.Client]:
    with live_page(services) as address, httpx.Client(base_url=address, timeout=SECONDS) as client:
        yield client


@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(question=questions())
def test_every_question_is_answered_or_refused(door: str, question: Question, client: httpx.Client) -> None:
    ask(client, door, question)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_makes_sense_is_answered(function: str, door: str, client: httpx.Client) -> None:
    assert ask(client, door, Question(function, sensible(function))) == "answered"


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")  # of schemathesis' own draws
def test_the_described_interface_answers_whatever_fits_its_description(client: httpx.Client) -> None:
    schema = schemathesis.openapi.from_url(f"{client.base_url}gradio_api/openapi.json")
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert len(operations) == 1 + 2 * len(FUNCTIONS)
    for operation in operations:

        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def try_it(case: schemathesis.Case) -> None:
            answer = case.call(base_url=str(client.base_url), timeout=SECONDS)
            assert answer.status_code < 500 and "Traceback" not in answer.text

        try_it()


def test_an_answer_that_nobody_has_asked_for_is_refused_and_ends(client: httpx.Client) -> None:
    answer = client.get("/gradio_api/call/flip/nowhere")
    assert "event: error" in answer.text


@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_that_are_left_out_are_the_defaults(function: str, client: httpx.Client) -> None:
    needed = sum(parameter.default is parameter.empty for parameter in PARAMETERS[function])
    answer = client.post(f"/gradio_api/run/{function}", json={"data": sensible(function)[:needed]})
    assert answer.status_code == 200 and answer.json()["data"]


def test_a_call_without_what_it_needs_is_told_so_and_is_no_failure(
    client: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    assert client.post("/gradio_api/run/explain", json={"data": []}).status_code == 400
    event = client.post("/gradio_api/call/explain", json={"data": []}).json()["event_id"]
    assert "explain needs a value for image" in client.get(f"/gradio_api/call/explain/{event}").text
    assert "Traceback" not in capfd.readouterr().err


def test_an_upload_without_a_file_is_refused(client: httpx.Client) -> None:
    answer = client.post("/gradio_api/upload", files={"files": (None, "{}")})
    assert answer.status_code == 400 and "no file" in answer.json()["error"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b"null", b"\xff\xfe", b'{"data": 5}', b"[" * 100_000])
@pytest.mark.parametrize("path", ["run/explain", "call/explain", "queue/join", "mcp/"])
def test_what_is_no_call_is_refused(path: str, content: bytes, client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    answer = client.post(f"/gradio_api/{path}", content=content, headers=headers)
    assert 400 <= answer.status_code < 500 and "Traceback" not in answer.text

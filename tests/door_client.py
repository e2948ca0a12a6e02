"""``python door_client.py ADDRESS FILE``: every public function, asked by REST, Gradio's client, MCP and Python.

Prints one JSON object: {function: {door: answer}}, and the names of all tools. ``python`` asks the package itself, with
the checkpoint and gallery that the environment names.
"""

import asyncio
import base64
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from gradio_client import Client, handle_file
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import TextContent


def calls(image: Any) -> dict[str, dict[str, Any]]:
    """A call of every function, about an image as a door wants it."""
    return {
        "checkpoints": {},
        "classify": {"image": image, "k": 3},
        "explain": {"image": image, "residual": 0.4},
        "match": {"image": image, "agree": ["exact", "ignore"]},
        "compose": {
            "parts": [{"image": image, "concept": 0, "radius": 1}, {"image": image, "concept": 1, "differs": True}]
        },
        "flip": {"image": image, "concept": 1, "bits": [5]},
        "subcodes": {"concept": 0, "view": "dictionary", "image": image},
        "centers": {"projection": "pca"},
    }


def by_rest(address: str, function: str, values: dict[str, Any], described: dict[str, Any]) -> Any:
    """POST all values in their order, left-out ones as the server's own description gives them."""
    parameters = described[f"/{function}"]["parameters"]
    data = [values.get(p["parameter_name"], p.get("parameter_default")) for p in parameters]
    body = json.dumps({"data": data}).encode()
    request = urllib.request.Request(f"{address}gradio_api/run/{function}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"][0]


async def by_mcp(address: str, asked: dict[str, dict[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """Tools by name, and what they answer."""
    async with (
        streamablehttp_client(f"{address}gradio_api/mcp/") as (read, write, _),
        ClientSession(read, write) as mcp,
    ):
        await mcp.initialize()
        tools = [tool.name for tool in (await mcp.list_tools()).tools]
        answers = {}
        for function, values in asked.items():
            result = await mcp.call_tool(function, values)
            assert not result.isError, result
            assert isinstance(result.content[0], TextContent)
            answers[function] = json.loads(result.content[0].text)
        return tools, answers


def by_python(asked: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the package answers, as JSON would have it."""
    from explorer import api
    from explorer.doors import as_json

    return {function: as_json(getattr(api, function)(**values)) for function, values in asked.items()}


def main(address: str, file: Path) -> None:
    """Ask through every door."""
    client = Client(address, verbose=False)
    with urllib.request.urlopen(f"{address}gradio_api/info", timeout=60) as answer:
        described = json.load(answer)["named_endpoints"]
    encoded = base64.b64encode(file.read_bytes()).decode()
    tools, mcp = asyncio.run(by_mcp(address, calls(f"data:image/png;base64,{encoded}")))
    uploaded = calls(handle_file(file))
    answers = {
        "rest": {name: by_rest(address, name, values, described) for name, values in calls(encoded).items()},
        "client": {name: client.predict(**values, api_name=f"/{name}") for name, values in uploaded.items()},
        "mcp": mcp,
        "python": by_python(calls(file)),
    }
    print(json.dumps({"tools": tools, "answers": answers, "endpoints": sorted(described)}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

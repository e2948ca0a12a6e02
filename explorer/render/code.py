"""The question of a panel as code: a call from Python, and one from a shell."""

import json
from typing import Any

from ..api_records import Call
from .markup import text

__all__ = ["code_panel", "curl_code", "python_code"]

SERVER = "https://this-server"  # the page's script puts its own address there
FILE = "your-image.jpg"
UPLOAD = "upload:"


def code_panel(call: Call) -> str:
    """Return a fold with the call of this panel, to be copied."""
    blocks = "".join(_block(name, code) for name, code in (("Python", python_code(call)), ("curl", curl_code(call))))
    return (
        f'<details class="ch-fold ch-code" data-keep="code"><summary>Use this from code</summary>{blocks}'
        '<p class="ch-muted">Agents find the same functions by MCP at '
        f'<code data-server="{SERVER}/gradio_api/mcp/">{SERVER}/gradio_api/mcp/</code>.</p></details>'
    )


def python_code(call: Call) -> str:
    """Write the call for Gradio's client."""
    is_upload = "handle_file(" in "".join(_in_python(value) for _, value in call.given)
    arguments = "".join(f"    {name}={_in_python(value)},\n" for name, value in call.given)
    return (
        f"from gradio_client import Client{', handle_file' if is_upload else ''}\n\n"
        f'client = Client("{SERVER}")\n'
        f'answer = client.predict(\n{arguments}    api_name="/{call.function}",\n)\n'
    )


def curl_code(call: Call) -> str:
    """Write the call for a shell; an image of one's own goes in as base64, and by a pipe, since it is long."""
    body = json.dumps({"data": [_without_uploads(value) for _, value in call.values]}, ensure_ascii=False)
    url = f"{SERVER}/gradio_api/run/{call.function}"
    head = f"curl -s '{url}' \\\n  -H 'Content-Type: application/json'"
    if "\\u0000" not in body:
        return f"{head} \\\n  -d {_quoted(body)}\n"
    pattern = body.replace("\\", "\\\\").replace("%", "%%").replace("\\\\u0000", "%s")
    files = f" \"$(base64 < {FILE} | tr -d '\\n')\"" * body.count("\\u0000")
    return f"printf {_quoted(pattern)}{files} |\n{head} -d @-\n"


def _quoted(words: str) -> str:
    return "'" + words.replace("'", "'\\''") + "'"


def _without_uploads(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_without_uploads(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_uploads(item) for name, item in value.items()}
    return "\0" if _is_upload(value) else value


def _is_upload(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(UPLOAD)


def _in_python(value: Any) -> str:
    if _is_upload(value):
        return f'handle_file("{FILE}")'
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_in_python, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_in_python(name)}: {_in_python(item)}' for name, item in value.items())}}}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _block(name: str, code: str) -> str:
    return (
        f'<div class="ch-codeblock"><header><h4>{text(name)}</h4>'
        f'<button type="button" class="ch-button" data-copy-code>Copy {text(name)}</button></header>'
        f'<pre tabindex="0"><code data-server="{text(code)}">{text(code)}</code></pre></div>'
    )

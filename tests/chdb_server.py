"""ClickHouse's HTTP interface, as far as clickhouse-connect uses it, in front of chDB: the same engine in a process.

Run as ``python chdb_server.py FOLDER PORT PASSWORD``; it prints its port when it answers, and ends when killed.

There is a cluster ``one``, of this machine alone. chDB has no queue of statements for a cluster, so ``ON CLUSTER one``
is taken out of them: with one machine, what is left does the same.
"""

import gzip
import json
import re
import sys
import tempfile
import threading
from base64 import b64decode
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from chdb.session import Session

CLUSTER = """<clickhouse><tcp_port>9000</tcp_port><remote_servers><one><shard><replica>
<host>127.0.0.1</host><port>9000</port></replica></shard></one></remote_servers></clickhouse>"""
ON_CLUSTER = re.compile(r" ON CLUSTER `one`")
KEPT_SETTINGS = {"async_insert", "insert_distributed_sync", "max_insert_block_size"}
INSERT = re.compile(rb"\s*(INSERT INTO .+?) FORMAT (\w+)\s*\n", re.IGNORECASE | re.DOTALL)
FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*$", re.IGNORECASE)


def opened(data: bytes, encoding: str) -> bytes:
    """Undo what the client's Python has for compression."""
    if encoding == "lz4":
        import lz4.frame

        return lz4.frame.decompress(data)
    if encoding == "zstd":
        from compression import zstd

        return zstd.decompress(data)
    return gzip.decompress(data) if encoding == "gzip" else data


class Engine:
    """One chDB session; requests take turns, as each may be in another database."""

    def __init__(self, folder: str, password: str) -> None:
        config = Path(folder).with_suffix(".xml")
        config.write_text(CLUSTER)
        self.session = Session(f"{folder}?config-file={config}")
        self.password, self.lock = password, threading.Lock()

    def answer(self, query: bytes, asked: dict[str, str]) -> tuple[bytes, str]:
        """Run one query; its result and the name of its format."""
        texts = {name.removeprefix("param_"): text for name, text in asked.items() if name.startswith("param_")}
        with self.lock:
            database = asked.get("database", "default").replace("`", "")
            self.session.query(f"USE `{database}`")
            if insert := INSERT.match(query):
                kept = ", ".join(f"{name} = {asked[name]}" for name in KEPT_SETTINGS & set(asked))
                end = f"SETTINGS {kept} FORMAT {insert[2].decode()}"
                return self.insert(insert[1].decode(), end, query[insert.end() :]), "Null"
            text = ON_CLUSTER.sub("", query.decode().strip())
            name = match[1] if (match := FORMAT.search(text)) else "TabSeparated"
            return self.session.query(FORMAT.sub("", text), name, params=texts or None).bytes(), name

    def insert(self, statement: str, end: str, data: bytes) -> bytes:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            self.session.query(f"{statement} FROM INFILE '{file.name}' {end}")
        return b""


class Handler(BaseHTTPRequestHandler):
    """A request: user and password, settings in the address, the query there or in the body."""

    protocol_version = "HTTP/1.1"
    engine: Engine

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        """Answer; a request whose end never came is not carried out."""
        body = self.body()
        if body is None:
            self.close_connection = True
            return
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query, True).items()}
        if self.headers.get_content_maintype() == "multipart":
            asked |= self.form(body)
            body = b""
        query = asked.pop("query", "").encode() + (b"\n" if asked.get("query") and body else b"") + body
        if not self.is_welcome():
            self.reply(403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", code="516")
            return
        try:
            answer, name = self.engine.answer(query, asked)
        except RuntimeError as error:
            code = match[1] if (match := re.search(r"Code: (\d+)", str(error))) else "1"
            self.reply(404 if code in ("60", "81") else 500, str(error).encode(), code=code)
            return
        self.reply(200, answer, name=name)

    def body(self) -> bytes | None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline() or b"-1", 16):
                if size < 0:
                    return None
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            data = b"".join(chunks)
        else:
            size = int(self.headers.get("Content-Length", 0))
            data = self.rfile.read(size)
            if len(data) < size:
                return None
        return opened(data, self.headers.get("Content-Encoding", ""))

    def form(self, body: bytes) -> dict[str, str]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser().parsebytes(head + body).get_payload()
        return {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
            for part in parts
        }

    def is_welcome(self) -> bool:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        password = b64decode(token).decode().partition(":")[2] if kind == "Basic" else ""
        return password == self.engine.password

    def reply(self, status: int, body: bytes, name: str = "", code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Summary", json.dumps({}))
        if name:
            self.send_header("X-ClickHouse-Format", name)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.end_headers()
        self.wfile.write(body)


def main(folder: str, port: str, password: str) -> None:
    Handler.engine = Engine(folder, password)
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

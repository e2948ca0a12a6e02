"""Object stores for tests: one in memory that can go away, and S3 on this machine, where moto and s3fs are there."""

import threading
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem


class AwayError(Exception):
    """What the package of a store raises when the store is away: of no kind that is known here."""


class MovingFileSystem(MemoryFileSystem):
    """``moving://``: a store in memory that is away while ``is_away``, and silent until ``answers`` is set."""

    protocol = "moving"
    store: dict[str, Any] = {}  # noqa: RUF012, as MemoryFileSystem has it
    pseudo_dirs = [""]  # noqa: RUF012
    is_away = False
    answers = threading.Event()

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        self.check()
        return super().cat_file(path, start, end, **kwargs)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        self.check()
        super().pipe_file(path, value, mode, **kwargs)

    def check(self) -> None:
        type(self).answers.wait()
        if type(self).is_away:
            raise AwayError("nobody at the door\nand more lines")


class MovingStore:
    """The store, and what stops and starts it."""

    def __init__(self) -> None:
        fsspec.register_implementation("moving", MovingFileSystem, clobber=True)
        MovingFileSystem.store.clear()
        self.place = "moving://bucket/birds"
        self.start()

    def start(self) -> None:
        MovingFileSystem.is_away = False
        MovingFileSystem.answers.set()

    def stop(self) -> None:
        MovingFileSystem.is_away = True

    def hang(self) -> None:
        MovingFileSystem.answers.clear()


class S3Store:
    """moto's server at a port of its own, with a bucket; s3fs finds it, and its keys, by the environment."""

    def __init__(self, environment: Any) -> None:
        from s3fs import S3FileSystem

        self.port = 0
        for name, value in {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "DEFAULT_REGION": "us-east-1"}.items():
            environment.setenv(f"AWS_{name}", value)
        environment.setattr(S3FileSystem, "retries", 1)  # as they take seconds
        environment.setenv("AWS_MAX_ATTEMPTS", "1")
        self.start()
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{self.port}")
        S3FileSystem.clear_instance_cache()
        S3FileSystem(skip_instance_cache=True).makedirs("bucket", exist_ok=True)  # moto forgets nothing
        self.place = f"s3://bucket/the birds {self.port}"

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        self.server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self.server.start()
        self.port = self.server.get_host_and_port()[1]

    def stop(self) -> None:
        self.server.stop()

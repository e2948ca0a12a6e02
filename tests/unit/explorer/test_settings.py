"""Flags win over the environment, and defaults are safe."""

import os
import urllib.request
from pathlib import Path

import pytest

from explorer.settings import Settings, read_settings, without_proxy


def test_flags_win_over_the_environment() -> None:
    environ = {"GRADIO_SERVER_PORT": "8000", "CONCEPTHASH_DEVICE": "cuda", "CONCEPTHASH_GALLERY": "there"}
    settings = read_settings(["--port", "9000", "--checkpoint", "birds-6"], environ)
    assert (settings.port, settings.device, settings.checkpoint) == (9000, "cuda", "birds-6")
    assert settings.gallery == "there"


def test_by_default_only_this_computer_is_served() -> None:
    settings = read_settings([], {})
    assert settings.host == "127.0.0.1" and settings.is_local and settings.port == 7860


@pytest.mark.parametrize(
    ("host", "is_local"), [("localhost", True), ("::1", True), ("0.0.0.0", False), ("here", False)]
)
def test_a_host_is_local_only_if_nobody_else_reaches_it(host: str, is_local: bool) -> None:
    assert Settings(host=host).is_local is is_local


def test_what_a_proxy_shows_is_not_for_this_computer_alone() -> None:
    assert not read_settings(["--behind-proxy"], {}).is_local and not read_settings(["--behind-proxy"], {}).may_train

    assert read_settings([], {}).root_path == ""
    settings = read_settings([], {"GRADIO_ROOT_PATH": "/explorer"})
    assert settings.root_path == "/explorer" and not settings.is_local and not settings.may_train
    assert read_settings(["--root-path", "/other"], {"GRADIO_ROOT_PATH": "/explorer"}).root_path == "/other"


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--port", "0"], ["--port", "70000"], ["--device", "tpu"]])
def test_a_wrong_flag_ends_with_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_settings(arguments, {})
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_bundled_galleries_are_those_of_this_project_unless_the_environment_says_otherwise() -> None:
    assert read_settings([], {}).galleries == Settings.checkpoints.parent / "assets" / "galleries"
    assert read_settings([], {"CONCEPTHASH_GALLERIES": "/g"}).galleries == Path("/g")


def test_the_cache_folder_follows_the_environment(tmp_path: Path) -> None:
    assert read_settings([], {"CONCEPTHASH_CACHE": f"{tmp_path}/c"}).cache == tmp_path / "c"
    assert read_settings([], {"HOME": str(tmp_path)}).cache == tmp_path / ".cache/concepthash"


def test_a_home_that_cannot_be_written_is_no_place_for_the_cache(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("no folder")  # in which not even root makes one
    assert read_settings([], {"HOME": str(home)}).cache == Settings.cache


@pytest.mark.skipif(os.name != "posix", reason="training needs POSIX locks")
def test_visitors_train_only_where_nobody_else_comes_or_where_it_is_turned_on() -> None:
    assert read_settings([], {}).may_train is True
    assert read_settings(["--host", "0.0.0.0"], {}).may_train is False
    assert read_settings(["--host", "0.0.0.0", "--train"], {}).may_train is True
    assert read_settings(["--no-train"], {"CONCEPTHASH_TRAIN": "1"}).may_train is False
    assert read_settings(["--host", "0.0.0.0"], {"CONCEPTHASH_TRAIN": "yes"}).may_train is True
    assert read_settings([], {"CONCEPTHASH_TRAIN": "0"}).may_train is False
    assert read_settings(["--host", "0.0.0.0"], {"CONCEPTHASH_TRAIN": "perhaps"}).may_train is False


def test_limits_of_training_are_settings() -> None:
    settings = read_settings(["--train-data", "a", "--train-data", "b", "--train-hours", "2", "--train-mb", "300"], {})
    assert settings.train_data == (Path("a"), Path("b")) and settings.training_hours == 2
    assert settings.max_zip_bytes == 300_000_000 and settings.max_unpacked_bytes == 750_000_000
    assert settings.max_request_bytes == 300_000_000
    assert read_settings(["--no-train"], {}).max_request_bytes == Settings.max_upload_bytes


@pytest.mark.parametrize("value", ["0", "-1", "much", "nan", "inf"])
def test_a_limit_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(SystemExit):
        read_settings(["--train-hours", value], {})


def test_the_app_itself_is_asked_without_the_proxy_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"HTTP_PROXY": "http://proxy.example:3128", "NO_PROXY": "intern.example"}
    found = without_proxy("192.168.1.7", given)
    for name, value in (given | found).items():
        monkeypatch.setenv(name, value)
    for host in ("localhost", "127.0.0.1", "192.168.1.7", "intern.example"):
        assert urllib.request.proxy_bypass(host)
    assert not urllib.request.proxy_bypass("elsewhere.example")
    assert without_proxy("127.0.0.1", {"no_proxy": "*"})["no_proxy"] == "*"

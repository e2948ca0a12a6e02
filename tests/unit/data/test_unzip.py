"""Unpacking a visitor's zip file: each attack ends in a sentence, and nothing is left behind."""

import errno
import io
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from concepthash.data import IntakeLimits, read_dataset, read_image, unpack_zip
from concepthash.errors import DataError

JPEG = b"\xff\xd8\xff\xe0 looks like a photo at its start"


def zipped(file: Path, *members: str | tuple[str | zipfile.ZipInfo, bytes], **options: Any) -> Path:
    with zipfile.ZipFile(file, "w", **({"compression": zipfile.ZIP_DEFLATED} | options)) as archive:
        for member in members:
            name, content = (member, JPEG) if isinstance(member, str) else member
            archive.writestr(name, content)
    return file


def unpacked(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def refusal(file: Path, limits: IntakeLimits | None = None) -> str:
    """The sentence, once it is sure that nothing but what was there before is there."""
    top = file.parents[1]
    before = sorted(top.rglob("*"))
    with pytest.raises(DataError) as refused:
        unpack_zip(file, top / "intake", limits)
    message = str(refused.value)
    assert message.endswith(".") and "\n" not in message and str(top) not in message, message
    assert sorted(top.rglob("*")) == before
    return message


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Deep enough that ``../..`` would show below ``tmp_path``."""
    (tmp_path / "sent").mkdir()
    return tmp_path / "sent" / "birds.zip"


def patched(file: Path, *, local: dict[int, bytes] | None = None, central: dict[int, bytes] | None = None) -> Path:
    """Overwrite bytes of the last member's headers, each by its place in the header."""
    content = bytearray(file.read_bytes())
    for signature, changes in ((b"PK\x03\x04", local or {}), (b"PK\x01\x02", central or {})):
        start = content.rindex(signature)
        for place, value in changes.items():
            content[start + place : start + place + len(value)] = value
    file.write_bytes(content)
    return file


def test_class_folders_come_out_as_they_are(file: Path, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(3_000_000)
    zipped(file, "Crow/a.jpg", "Snow Goose/deep/er/b.PNG", ("Crow/c.webp", content), ("Crow/empty.jpg", b""))
    unpack_zip(file, tmp_path / "new" / "intake")
    root = tmp_path / "new" / "intake"
    assert unpacked(root) == ["Crow/a.jpg", "Crow/c.webp", "Crow/empty.jpg", "Snow Goose/deep/er/b.PNG"]
    assert (root / "Crow/c.webp").read_bytes() == content and (root / "Crow/a.jpg").read_bytes() == JPEG


def test_stored_files_and_members_without_any_compression_are_read(file: Path, tmp_path: Path) -> None:
    unpack_zip(zipped(file, "Crow/a.jpg", compression=zipfile.ZIP_STORED), tmp_path / "intake")
    assert (tmp_path / "intake/Crow/a.jpg").read_bytes() == JPEG


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("birds/Crow/a.jpg", "birds/Jay/b.jpg"), ["Crow/a.jpg", "Jay/b.jpg"]),
        (("my/birds/Crow/a.jpg", "my/birds/Jay/b.jpg"), ["Crow/a.jpg", "Jay/b.jpg"]),
        (("./birds/Crow/a.jpg", "./birds/Jay/b.jpg"), ["Crow/a.jpg", "Jay/b.jpg"]),
        (("birds/Crow/a.jpg", "birds/b.jpg"), ["Crow/a.jpg", "b.jpg"]),
        (("Crow/a.jpg", "Crow/b.jpg"), ["Crow/a.jpg", "Crow/b.jpg"]),
        (("Crow/a.jpg", "b.jpg"), ["Crow/a.jpg", "b.jpg"]),
        (("a.jpg",), ["a.jpg"]),
        (("set/train/Crow/a.jpg", "set/test/Crow/b.jpg"), ["test/Crow/b.jpg", "train/Crow/a.jpg"]),
    ],
)
def test_a_top_folder_that_all_share_is_left_out(
    file: Path, tmp_path: Path, names: tuple[str, ...], expected: list[str]
) -> None:
    unpack_zip(zipped(file, *names), tmp_path / "intake")
    assert unpacked(tmp_path / "intake") == expected


def test_what_desktops_add_is_left_out_in_silence(file: Path, tmp_path: Path) -> None:
    junk = ["__MACOSX/birds/Crow/._a.jpg", "birds/.DS_Store", "birds/Crow/Thumbs.db", "birds/.git/x", "birds/Icon\r"]
    zipped(file, ("birds/", b""), ("./", b""), ("birds/Crow/", b""), *junk, "birds/desktop.ini", "birds/Crow/a.jpg")
    unpack_zip(file, tmp_path / "intake")
    assert unpacked(tmp_path / "intake") == ["Crow/a.jpg"]


def test_names_in_any_script_come_out_composed(file: Path, tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "Möwe")
    unpack_zip(zipped(file, f"{apart}/ä.jpg", "птица/鳥 🐦.jpg"), tmp_path / "intake")
    assert unpacked(tmp_path / "intake") == ["Möwe/ä.jpg", "птица/鳥 🐦.jpg"]
    assert len(read_dataset(tmp_path / "intake")) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "cp437"])
def test_names_are_read_without_the_flag_that_says_utf_8(file: Path, tmp_path: Path, encoding: str) -> None:
    said = "Grünspecht/a.jpg".encode(encoding)
    zipped(file, "x" * len(said))
    file.write_bytes(file.read_bytes().replace(b"x" * len(said), said))  # as `zip -r` on Linux does
    unpack_zip(file, tmp_path / "intake")
    assert unpacked(tmp_path / "intake") == ["Grünspecht/a.jpg"]


def test_characters_that_some_file_system_cannot_hold_become_underscores(file: Path, tmp_path: Path) -> None:
    unpack_zip(zipped(file, "Crow?/a:b\n\u202egpj.jpg", "CON/nul.jpg", "Jay. /x.jpg"), tmp_path / "intake")
    assert unpacked(tmp_path / "intake") == ["Crow_/a_b__gpj.jpg", "Jay/x.jpg", "_CON/_nul.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "Crow/../../evil.jpg",
        "Crow/../a.jpg",
        "/etc/evil.jpg",
        "//server/share/evil.jpg",
        "C:/evil.jpg",
        "C:evil.jpg",
        "..\\evil.jpg",
        "Crow\\a.jpg",
        "\\\\server\\share\\a.jpg",
        "../.hidden/evil.jpg",
        "__MACOSX/../../evil.jpg",
        "../",
    ],
)
def test_a_name_that_could_lead_out_of_the_folder_is_refused(file: Path, name: str) -> None:
    assert "could lead out of its folder; zip" in refusal(zipped(file, "Crow/a.jpg", name))


def test_a_name_with_a_null_character_is_refused(file: Path) -> None:
    zipped(file, "Crow/a.jpgX/../../evil.jpg")
    file.write_bytes(file.read_bytes().replace(b"a.jpgX", b"a.jpg\0"))
    assert "could lead out of its folder; zip" in refusal(file)


def test_a_name_that_differs_between_its_two_headers_is_refused(file: Path) -> None:
    zipped(file, "Crow/aaa.jpg")
    assert "damaged or no zip file" in refusal(patched(file, local={30: b"../../aa.jpg"}))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(file: Path, kind: int) -> None:
    link = zipfile.ZipInfo("Crow/link.jpg")
    link.create_system, link.external_attr = 3, (kind | 0o777) << 16
    assert "holds a link or device, 'Crow/link.jpg'; put" in refusal(zipped(file, (link, b"/etc/passwd")))


def test_a_link_to_a_folder_does_not_carry_the_next_file_elsewhere(file: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("Crow")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    assert "link or device" in refusal(zipped(file, (link, str(tmp_path).encode()), "Crow/a.jpg"))


@pytest.mark.parametrize("name", ["Crow/more.zip", "Crow/more.TAR.GZ", "more.7z", "more.rar"])
def test_an_archive_in_the_archive_is_refused(file: Path, name: str) -> None:
    inner = io.BytesIO()
    zipfile.ZipFile(inner, "w").close()
    assert "holds another archive" in refusal(zipped(file, "Crow/a.jpg", (name, inner.getvalue())))


@pytest.mark.parametrize("name", ["Crow/notes.txt", "run.exe", "Crow/page.svg", "classes.parquet", "Crow/jpg", "a.eps"])
def test_a_file_not_named_like_an_image_is_refused(file: Path, name: str) -> None:
    assert "not named like an image; take it out" in refusal(zipped(file, "Crow/a.jpg", name))


def test_a_file_that_is_an_image_by_name_only_is_left_to_the_inspection(file: Path, tmp_path: Path) -> None:
    unpack_zip(zipped(file, ("Crow/a.jpg", b"#!/bin/sh\n")), tmp_path / "intake")
    assert not (tmp_path / "intake/Crow/a.jpg").stat().st_mode & 0o111


def test_an_empty_file_and_what_is_no_zip_are_refused(file: Path) -> None:
    file.write_bytes(b"")
    assert "is empty (0 bytes)" in refusal(file)
    for content in (b"PK", JPEG, b"\0" * 1000, b"PK\x05\x06" + b"\xff" * 18):
        file.write_bytes(content)
        assert '"birds.zip" is damaged or no zip file; zip' in refusal(file)


def test_a_missing_file_and_a_folder_are_refused(file: Path) -> None:
    assert "is not there" in refusal(file)
    file.mkdir()
    assert "is not there, or no file" in refusal(file)


def test_a_zip_without_images_is_refused(file: Path) -> None:
    assert "holds no images" in refusal(zipped(file))
    assert "holds no images" in refusal(zipped(file, ("Crow/", b""), "__MACOSX/._a.jpg", ".a.jpg"))


def test_a_zip_cut_anywhere_or_with_a_byte_turned_over_is_refused(file: Path) -> None:
    content = np.random.default_rng(0).bytes(2_500)
    whole = zipped(file, "Crow/a.jpg", ("Jay/b.jpg", content), ("Jay/c.jpg", b"abc" * 500)).read_bytes()
    for length in range(1, len(whole), 97):
        file.write_bytes(whole[:length])
        assert "is damaged or no zip file" in refusal(file)
    start = whole.index(content[:50])  # in the packed bytes, since chance cannot be packed
    file.write_bytes(whole[:start] + bytes([whole[start] ^ 1]) + whole[start + 1 :])
    assert "is damaged or no zip file" in refusal(file)


def test_headers_filled_with_chance_end_in_a_sentence_or_in_images(file: Path, tmp_path: Path) -> None:
    whole = zipped(file, "Crow/a.jpg", ("Jay/b.jpg", b"abc" * 500)).read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(400):
        content = bytearray(whole)
        for place in generator.integers(0, len(whole), 4):
            content[place] = generator.integers(0, 256)
        file.write_bytes(content)
        try:
            unpack_zip(file, tmp_path / "intake")
        except DataError:
            assert not (tmp_path / "intake").exists()
        else:
            shutil.rmtree(tmp_path / "intake")
    assert sorted(tmp_path.iterdir()) == [file.parent]


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_a_locked_zip_is_refused(file: Path, flag: int) -> None:
    zipped(file, "Crow/a.jpg")
    flags = struct.pack("<H", flag)
    assert "is locked with a password; zip" in refusal(patched(file, local={6: flags}, central={8: flags}))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bound_are_refused(file: Path, method: int) -> None:
    bomb = zipped(file, ("Crow/a.jpg", b"\0" * 20_000_000), compression=method)
    assert bomb.stat().st_size < 20_000 and "packed in an unusual way" in refusal(file)


def test_an_unknown_method_is_refused(file: Path) -> None:
    deflate64 = struct.pack("<H", 9)
    assert "packed in an unusual way" in refusal(patched(zipped(file, "Crow/a.jpg"), central={10: deflate64}))


def test_a_bomb_of_one_file_is_refused_by_its_ratio(file: Path) -> None:
    assert "unpacks to more than 100 times" in refusal(zipped(file, ("Crow/a.jpg", b"\0" * 30_000_000)))


def test_a_bomb_beside_real_photos_is_refused_by_its_ratio(file: Path) -> None:
    photo = np.random.default_rng(0).bytes(1_000_000)
    zipped(file, ("Crow/a.jpg", photo), ("Crow/b.jpg", b"\0" * 30_000_000))
    assert file.stat().st_size * 100 > 31_000_000
    assert "unpacks to more than 100 times" in refusal(file)


def test_a_bomb_of_many_small_files_is_refused_by_its_ratio(file: Path) -> None:
    zipped(file, *((f"Crow/{i}.jpg", b"\0" * 3_000_000) for i in range(6)))
    assert "unpacks to more than 100 times" in refusal(file)


def test_drawings_that_pack_well_are_no_bomb(file: Path, tmp_path: Path) -> None:
    drawing = io.BytesIO()
    Image.new("RGB", (1000, 1000), "navy").save(drawing, "BMP")
    unpack_zip(zipped(file, ("Square/a.bmp", drawing.getvalue())), tmp_path / "intake")
    assert read_image(tmp_path / "intake/Square/a.bmp").shape == (1000, 1000, 3)


def test_more_bytes_than_allowed_are_refused_by_what_is_announced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = np.random.default_rng(0).bytes(60_000)
    zipped(file, *((f"Crow/{i}.jpg", photo) for i in range(20)))
    monkeypatch.setattr(zipfile.ZipFile, "open", None)  # would be a TypeError
    assert "more than 1 MB of images; make" in refusal(file, IntakeLimits(max_bytes=1_000_000))


@pytest.mark.parametrize("announced", [0, 10, 999])
def test_a_bomb_that_announces_few_bytes_brings_no_more_than_these(file: Path, announced: int) -> None:
    """Reading stops at the announced size, where the check sum is wrong."""
    size = struct.pack("<I", announced)
    bomb = patched(zipped(file, ("Crow/a.jpg", b"\0" * 30_000_000)), local={22: size}, central={24: size})
    assert "is damaged or no zip file" in refusal(bomb)


def test_a_bomb_that_announces_few_bytes_and_their_check_sum_brings_no_more(file: Path, tmp_path: Path) -> None:
    size, check = struct.pack("<I", 10), struct.pack("<I", zlib.crc32(b"\0" * 10))
    zipped(file, ("Crow/a.jpg", b"\0" * 30_000_000))
    patched(file, local={14: check, 22: size}, central={16: check, 24: size})
    unpack_zip(file, tmp_path / "intake")
    assert (tmp_path / "intake/Crow/a.jpg").stat().st_size == 10


def test_a_file_shorter_than_announced_is_refused(file: Path) -> None:
    size = struct.pack("<I", 2_000_000)
    assert "is damaged" in refusal(patched(zipped(file, "Crow/a.jpg"), local={22: size}, central={24: size}))


def test_more_packed_bytes_announced_than_there_are_is_refused(file: Path) -> None:
    packed = struct.pack("<I", 2_000_000)  # so that no ratio would be suspicious
    bomb = zipped(file, ("Crow/a.jpg", b"\0" * 5_000))
    assert "is damaged" in refusal(patched(bomb, local={18: packed}, central={20: packed}))


def test_bytes_are_counted_and_not_believed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever `zipfile` did with announced sizes, the limit holds."""
    photo = np.random.default_rng(0).bytes(3_000_000)
    zipped(file, ("Crow/a.jpg", photo))

    def endless(*_: object) -> io.BytesIO:
        return io.BytesIO(photo)

    size = struct.pack("<I", 5)
    patched(file, local={22: size}, central={24: size})
    monkeypatch.setattr(zipfile.ZipFile, "open", endless)
    assert "more than 2 MB of images" in refusal(file, IntakeLimits(max_bytes=2_000_000))


def test_members_that_share_the_same_bytes_are_refused(file: Path) -> None:
    """One packed file, listed many times: what it unpacks to is multiplied."""
    names = [f"Crow/{i:03d}.jpg" for i in range(50)]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(names[0], JPEG)
        for name in names[1:]:
            other = zipfile.ZipInfo(name)
            first = archive.filelist[0]
            for field in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(other, field, getattr(first, field))
            archive.filelist.append(other)
    assert "holds files that overlap" in refusal(file)


def test_a_member_whose_packed_bytes_are_other_members_is_refused(file: Path) -> None:
    """The bomb without any recursion: the header of each file is packed data of the one before."""
    inner = zipped(file, ("Crow/b.jpg", b"\0" * 1000)).read_bytes()
    name, packed = b"Crow/a.jpg", inner[: inner.rindex(b"PK\x01\x02")]
    outer = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0, zlib.crc32(packed), len(packed), len(packed), 10, 0)
    directory = b""
    for offset, body in ((0, packed), (len(outer) + 10, None)):
        entry = bytearray(inner[inner.rindex(b"PK\x01\x02") : inner.rindex(b"PK\x05\x06")])
        entry[42:46] = struct.pack("<I", offset)
        if body is not None:
            entry[10:12] = b"\0\0"
            entry[16:28] = struct.pack("<3I", zlib.crc32(body), len(body), len(body))
            entry[46:56] = name
        directory += entry
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 2, 2, len(directory), len(outer) + 10 + len(packed), 0)
    file.write_bytes(outer + name + packed + directory + end)
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["Crow/a.jpg", "Crow/b.jpg"]
    assert "holds files that overlap" in refusal(file)


def test_too_many_images_are_refused(file: Path) -> None:
    zipped(file, *(f"Crow/{i}.jpg" for i in range(11)))
    assert "more than 10 images" in refusal(file, IntakeLimits(max_images=10))


def test_a_list_of_very_many_files_is_refused_before_it_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped(file, *((f"d{i}/", b"") for i in range(1_200)), "Crow/a.jpg")
    monkeypatch.setattr(zipfile, "ZipFile", None)  # would be a TypeError
    assert "more than 10 images" in refusal(file, IntakeLimits(max_images=10))


def test_a_zip_larger_than_allowed_is_refused(file: Path) -> None:
    zipped(file, ("Crow/a.jpg", np.random.default_rng(0).bytes(1_200_000)))
    assert "has 1.2 MB, more than the 1 MB that can be sent" in refusal(file, IntakeLimits(max_zip_bytes=1_000_000))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names",
    [
        ("Crow/a.jpg", "Crow/a.jpg"),
        ("Crow/a.jpg", "Crow/A.JPG"),
        ("Crow/a.jpg", "crow/a.jpg"),
        ("Crow/a.jpg", "Crow//a.jpg"),
        ("Crow/a?.jpg", "Crow/a_.jpg"),
        ("Crow/\u00e4.jpg", "Crow/a\u0308.jpg"),
        ("Crow/a.jpg/b.jpg", "Crow/a.jpg"),
        ("Crow/STRASSE.jpg", "Crow/straße.jpg"),
    ],
)
def test_two_files_of_one_path_are_refused(file: Path, names: tuple[str, str]) -> None:
    assert "twice, maybe once in capital letters; rename" in refusal(zipped(file, *names, "Jay/c.jpg"))


def test_a_file_and_a_folder_of_one_path_are_refused_below_a_top_folder_too(file: Path) -> None:
    assert "twice" in refusal(zipped(file, "Crow/a.jpg/b/c.jpg", "Crow/a.jpg"))


@pytest.mark.parametrize("name", ["Crow/" + "a" * 300 + ".jpg", "é" * 120 + "/a.jpg", "鳥" * 70 + "/a.jpg"])
def test_a_name_too_long_is_refused(file: Path, name: str) -> None:
    assert "a name of more than 200 bytes" in refusal(zipped(file, name))


def test_folders_too_deep_are_refused(file: Path) -> None:
    assert "folders more than 12 deep" in refusal(zipped(file, "x/" * 400 + "a.jpg"))


def test_a_folder_that_exists_is_refused_and_stays(file: Path, tmp_path: Path) -> None:
    (tmp_path / "intake").mkdir()
    (tmp_path / "intake" / "mine.jpg").write_bytes(JPEG)
    assert "exists already" in refusal(zipped(file, "Crow/a.jpg"))


@pytest.mark.parametrize("when", ["write", "close"])
def test_a_full_disk_is_said_and_nothing_stays(file: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    zipped(file, *(f"Crow/{i}.jpg" for i in range(5)))
    plain_open = Path.open

    def full(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        stream = plain_open(path, mode, *args, **options)
        if "x" in mode and path.name == "3.jpg":
            return Full(stream)
        return stream

    class Full:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __enter__(self) -> "Full":
            return self

        def write(self, content: bytes) -> None:
            self.stream.write(content[:10])
            if when == "write":
                raise OSError(errno.ENOSPC, "No space left on device")

        def __exit__(self, *_: object) -> None:
            self.stream.close()
            if when == "close":
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    assert refusal(file).startswith("The disk is full")


def test_an_interruption_leaves_nothing_behind(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped(file, "Crow/a.jpg", "Crow/b.jpg")

    def interrupted(self: object, size: int = -1) -> bytes:
        assert (tmp_path / "intake/Crow/a.jpg").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile.ZipExtFile, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack_zip(file, tmp_path / "intake")
    assert not (tmp_path / "intake").exists()

"""Archives are claims of strangers: each bad one is named, and nothing of it gets anywhere."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from wakelab.classes import archives
from wakelab.classes.archives import ArchiveTree, Limits
from wakelab.classes.trees import FolderTree, Kind, Unreadable

MIB = 1024 * 1024
LIMITS = Limits(packed=4 * MIB, entries=100, unpacked=8 * MIB, kept=MIB)


def zipped(*files: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicate names are what some tests are about
        for name, data in files:
            archive.writestr(name, data)
    return file.getvalue()


def tarred(*files: tuple[str | tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in files:
            entry = tarfile.TarInfo(name) if isinstance(name, str) else name
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def opened(data: bytes, limits: Limits = LIMITS) -> ArchiveTree:
    return ArchiveTree(io.BytesIO(data), "work.zip", limits, lambda name: name.endswith(".c"))


def refusal(data: bytes, limits: Limits = LIMITS) -> str:
    """What is said of an archive that cannot be opened, or whose main.c cannot be read."""
    with pytest.raises(Unreadable) as caught, opened(data, limits) as tree:
        tree.read(("main.c",), 1000)
    assert caught.value.next_step
    return caught.value.what


def linked(name: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = "/etc/passwd"
    return entry


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
}


@pytest.mark.parametrize("packer", PACKERS)
def test_a_tar_is_read(packer: str) -> None:
    data = PACKERS[packer](tarred(("./lab/main.c", b"int x;\n"), ("notes.txt", b"")))
    with opened(data) as tree:
        assert tree.names(()) == {"lab": Kind.FOLDER, "notes.txt": Kind.FILE}
        assert tree.names(("lab",)) == {"main.c": Kind.FILE}
        assert tree.names(("nowhere",)) == {}
        assert tree.read(("lab", "main.c"), 1000) == b"int x;\n"


def test_a_zip_is_read_also_one_made_on_windows() -> None:
    with opened(zipped(("lab\\main.c", b"int x;\r\n"))) as tree:
        assert tree.names(("lab",)) == {"main.c": Kind.FILE}
        assert tree.read(("lab", "main.c"), 1000) == b"int x;\r\n"


def test_no_more_is_unpacked_than_asked_for() -> None:
    zeros = b"\0" * MIB
    for data in (zipped(("main.c", zeros)), tarred(("main.c", zeros))):
        with opened(data) as tree:
            assert len(tree.read(("main.c",), 1000)) == 1001


@pytest.mark.parametrize("packer", PACKERS)
def test_a_tar_that_unpacks_to_too_much_is_a_bomb(packer: str) -> None:
    data = PACKERS[packer](tarred(("big.bin", b"\0" * (9 * MIB)), ("main.c", b"int x;")))
    said = refusal(data, Limits(64 * MIB, 100, 8 * MIB, MIB))
    assert "more than 8 MiB" in said


def test_a_tar_whose_wanted_files_take_too_much_memory() -> None:
    files = [(f"{n}.c", b"\0" * (MIB // 2)) for n in range(5)]
    assert "more than 1 MiB" in refusal(tarred(*files))


def test_a_zip_that_says_it_unpacks_to_too_much() -> None:
    assert "unpacks to 9 MiB" in refusal(zipped(("main.c", b"\0" * (9 * MIB))))


def test_a_zip_that_lies_about_its_size() -> None:
    data = bytearray(zipped(("main.c", b"\0" * (9 * MIB))))
    at = data.rindex(b"PK\1\2")
    struct.pack_into("<L", data, at + 24, 10)  # the size in the list of entries
    with opened(bytes(data)) as tree:
        try:
            assert len(tree.read(("main.c",), 1000)) <= 1001
        except Unreadable as refused:
            assert "damaged" in refused.what


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_too_many_entries(pack: Callable[..., bytes]) -> None:
    assert "more than 100 entries" in refusal(pack(*((f"{n}.c", b"") for n in range(101))))


def test_a_list_of_entries_too_long_to_be_loaded() -> None:
    whole = zipped(*((f"{n:0200}.c", b"") for n in range(90)))
    assert "more than 100 entries" in refusal(whole)


def test_an_encrypted_zip() -> None:
    data = bytearray(zipped(("main.c", b"int x;")))
    for magic, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        at = data.index(magic)
        data[at + offset] |= 1
    assert "encrypted" in refusal(bytes(data))


def test_a_zip_packed_by_a_method_that_takes_any_memory() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("main.c", b"int x;")
    assert "by a method" in refusal(file.getvalue())


def test_an_xz_that_asks_for_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_XZ_MEMORY", MIB)
    assert "too much memory" in refusal(lzma.compress(tarred(("main.c", b"int x;"))))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty (0 bytes)"),
        (zipped(), "an empty archive"),
        (tarred(), "an empty archive"),
        (b"hello, world", "damaged, or no archive"),
        (zipped(("main.c", b"int x;" * 99))[:-40], "damaged"),
        (gzip.compress(tarred(("main.c", bytes(range(256)) * 40)))[:-200], "damaged"),
        (lzma.compress(tarred(("main.c", bytes(range(256)) * 40)))[:-50], "damaged"),
        (b"PK\3\4" + b"\xff" * 500, "damaged"),
        (b"Rar!\x1a\x07\1\0" + b"\0" * 99, "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c" + b"\0" * 99, "a 7z archive"),
        (b"\x28\xb5\x2f\xfd" + b"\0" * 99, "zstd"),
    ],
    # Not the bytes, which have the time in them: every process is to have the same names.
    ids=[
        *("no-bytes", "zip-of-nothing", "tar-of-nothing", "text", "zip-cut", "gzip-cut", "xz-cut"),
        *("zip-of-noise", "rar", "7z", "zstd"),
    ],
)
def test_broken_archives_are_named(data: bytes, said: str) -> None:
    assert said in refusal(data)


def test_an_archive_that_is_too_large_is_not_read() -> None:
    assert "larger than 0 MiB" in refusal(zipped(("main.c", b"")), Limits(20, 100, 100, 100))


def test_a_gzip_whose_checksum_is_wrong() -> None:
    # Far behind the end of the tar, where nobody has to look to find main.c.
    data = bytearray(gzip.compress(tarred(("main.c", b"int x;")) + bytes(1 << 18)))
    data[-8] ^= 1
    assert "damaged" in refusal(bytes(data))


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("path", ["../main.c", "/main.c", "a/../../main.c", "C:\\main.c"])
def test_paths_that_lead_out_are_not_taken(pack: Callable[..., bytes], path: str) -> None:
    with opened(pack((path, b"int evil;"), ("good.c", b"int x;"))) as tree:
        assert tree.outside == [path]
        assert list(tree.names(())) == ["good.c"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_file_that_is_there_twice_is_nobodys(pack: Callable[..., bytes]) -> None:
    assert "twice" in refusal(pack(("main.c", b"int a;"), ("./main.c", b"int b;")))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_of_a_tar_are_not_files(kind: bytes) -> None:
    data = tarred((linked("main.c", kind), b""))
    assert opened(data).names(()) == {"main.c": Kind.OTHER}
    assert "not a regular file" in refusal(data)


def test_links_of_a_zip_are_not_files() -> None:
    entry = zipfile.ZipInfo("main.c")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "not a regular file" in refusal(zipped((entry, b"/etc/passwd")))


def test_a_sparse_file_is_not_a_file() -> None:
    entry = linked("main.c", tarfile.GNUTYPE_SPARSE)
    said = refusal(tarred((entry, b"")))
    assert "not a regular file" in said or "damaged" in said


def test_noise_is_named_or_read_and_nothing_else() -> None:
    """Every byte of a small archive changed in turn: no error but Unreadable comes."""
    packed = (zipped(("main.c", b"int x;")), gzip.compress(tarred(("main.c", b"int x;"))))
    began = time.monotonic()
    for data in packed:
        for at in range(len(data)):
            for change in (0xFF, 0x01):
                noisy = bytearray(data)
                noisy[at] ^= change
                try:
                    with opened(bytes(noisy)) as tree:
                        tree.names(())
                        tree.read(("main.c",), 1000)
                except Unreadable:
                    pass
    assert time.monotonic() - began < 60  # nothing goes round and round


def test_a_folder_is_a_tree_that_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/main.c").write_bytes(b"int x;")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "main.c").symlink_to("real/main.c")
    with FolderTree(tmp_path) as tree:
        assert tree.names(()) == {
            "link": Kind.OTHER,
            "main.c": Kind.OTHER,
            "real": Kind.FOLDER,
        }
        assert tree.names(("link",)) == {}
        assert tree.read(("real", "main.c"), 3) == b"int "
        with pytest.raises(Unreadable, match="not a regular file"):
            tree.read(("main.c",), 100)
        with pytest.raises(Unreadable):
            tree.read(("link", "main.c"), 100)

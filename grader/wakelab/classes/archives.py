"""Archives, read in memory: zip, and tar as it is or compressed by gzip, bzip2 or xz.

An archive is a claim about its content. Counts and sizes are limited before they are believed, a
path that leads out of it is not taken, and a name that is there twice is nobody's file.
"""

from __future__ import annotations

import bz2
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from wakelab.classes.trees import Kind, Parts, Unreadable, irregular

_MIB = 1024 * 1024
_READ = 64 * 1024
_XZ_MEMORY = 128 * _MIB
"""xz -9 asks for 65 MiB; a header that asks for more wants the machine's memory."""

_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
"""Not LZMA: its dictionary may be as large as the archive says."""

_AGAIN = "hand in a zip or tar archive of the lab's files, or the files themselves"

SUFFIXES = (
    *(".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz"),
    *(".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z", ".rar"),
)
"""What the name of an archive ends with, also of those that are only recognised."""


@dataclass(frozen=True)
class Limits:
    """What an archive may be. All in bytes but `entries`.

    packed    the archive itself
    entries   files and folders in it
    unpacked  sum of all sizes
    kept      of a tar, whose files are kept in memory
    """

    packed: int
    entries: int
    unpacked: int
    kept: int


OF_A_STUDENT = Limits(32 * _MIB, 20_000, 256 * _MIB, 16 * _MIB)
OF_A_CLASS = Limits(2048 * _MIB, 500_000, 16384 * _MIB, 512 * _MIB)

Wanted = Callable[[str], bool]
"""Whether a file of that plain name will be read."""


def is_archive_name(name: str) -> bool:
    """Whether it ends as an archive's name does."""
    return name.lower().endswith(SUFFIXES)


def stem(name: str) -> str:
    """The name of an archive without its ending."""
    longest = max((s for s in SUFFIXES if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(longest)]


@dataclass
class _Node:
    """A folder of an archive's index."""

    folders: dict[str, _Node] = field(default_factory=dict)
    files: dict[str, object] = field(default_factory=dict)
    """By name what the archive knows the file by; _TWICE or _LINK where it is not to be read."""

    def names(self) -> dict[str, Kind]:
        kinds = dict.fromkeys(self.folders, Kind.FOLDER)
        for name, handle in self.files.items():
            kinds[name] = Kind.OTHER if handle is _LINK else Kind.FILE
        return dict(sorted(kinds.items()))


_TWICE = object()
_LINK = object()
_DROPPED = object()


class ArchiveTree:
    """An archive as a tree. Close it, or use it in a `with`.

    outside  paths in it that lead out of it; they are not taken
    """

    def __init__(self, file: IO[bytes], name: str, limits: Limits, wanted: Wanted) -> None:
        """`file` is seekable and stays the caller's. Raises Unreadable."""
        self.outside: list[str] = []
        self._name = name
        self._root = _Node()
        self._zip: zipfile.ZipFile | None = None
        with _named(name):
            file.seek(0, io.SEEK_END)
            if file.tell() > limits.packed:
                raise Unreadable(
                    f"{name} is larger than {limits.packed // _MIB} MiB",
                    "hand in only the lab's files",
                )
            if file.tell() == 0:
                raise Unreadable(f"{name} is empty (0 bytes)", "pack it again")
            file.seek(0)
            head = file.read(512)
            file.seek(0)
            if head[:4] in (b"PK\3\4", b"PK\5\6"):
                self._index_zip(file, limits)
            else:
                self._index_tar(file, _compression(head, name), limits, wanted)
        if not self._root.folders and not self._root.files and not self.outside:
            raise Unreadable(f"{name} is an empty archive", "pack the lab's files into it")

    def close(self) -> None:
        """Forget the archive."""
        if self._zip is not None:
            self._zip.close()

    def __enter__(self) -> ArchiveTree:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def names(self, at: Parts) -> Mapping[str, Kind]:
        """See Tree."""
        node = self._node(at)
        return node.names() if node is not None else {}

    def read(self, at: Parts, limit: int) -> bytes:
        """See Tree."""
        node = self._node(at[:-1])
        handle = node.files.get(at[-1]) if node is not None else None
        if handle is None:
            raise Unreadable(f"{'/'.join(at)} is not in {self._name}", "pack it again")
        if handle is _LINK:
            raise irregular(f"{at[-1]} in {self._name}")
        if handle is _TWICE:
            raise Unreadable(
                f"{'/'.join(at)} is in {self._name} twice, and nobody can say which is meant",
                "pack it again, with each file once",
            )
        with _named(self._name):
            if isinstance(handle, zipfile.ZipInfo):
                return self._read_zip(handle, limit)
            if isinstance(handle, bytes):
                return handle[: limit + 1]
        raise Unreadable(
            f"{'/'.join(at)} in {self._name} is too large", "hand in only source files"
        )

    # -- the index -------------------------------------------------------------------------------

    def _node(self, at: Parts) -> _Node | None:
        node: _Node | None = self._root
        for part in at:
            node = node.folders.get(part) if node is not None else None
        return node

    def _add(self, name: str, handle: object, *, folder: bool = False) -> None:
        parts = _inside(name)
        if parts is None:
            self.outside.append(name)
            return
        if not parts:
            return
        node = self._root
        for part in parts if folder else parts[:-1]:
            node = node.folders.setdefault(part, _Node())
        if not folder:
            node.files[parts[-1]] = _TWICE if parts[-1] in node.files else handle

    def _index_zip(self, file: IO[bytes], limits: Limits) -> None:
        if _directory_bytes(file) > limits.entries * 128:
            raise _too_many(self._name, limits)
        self._zip = zipfile.ZipFile(file)
        entries = self._zip.infolist()
        if len(entries) > limits.entries:
            raise _too_many(self._name, limits)
        if (unpacked := sum(entry.file_size for entry in entries)) > limits.unpacked:
            raise _bomb(self._name, f"{unpacked / _MIB:,.0f} MiB", limits)
        for entry in entries:
            mode = entry.external_attr >> 16
            special = bool(stat.S_IFMT(mode)) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
            self._add(entry.filename, _LINK if special else entry, folder=entry.is_dir())

    def _read_zip(self, entry: zipfile.ZipInfo, limit: int) -> bytes:
        assert self._zip is not None
        if entry.flag_bits & 0x41:
            raise Unreadable(
                f"{self._name} is encrypted: {entry.filename} asks for a password",
                "pack it again without one",
            )
        if entry.compress_type not in _ZIP_METHODS:
            raise Unreadable(
                f"{entry.filename} in {self._name} is packed by a method that is not read here",
                "pack it again with the usual settings (deflate)",
            )
        with self._zip.open(entry) as content:
            return content.read(limit + 1)

    def _index_tar(
        self, file: IO[bytes], unpack: Callable[[], _Unpacker], limits: Limits, wanted: Wanted
    ) -> None:
        kept = 0
        stream = _Stream(file, unpack(), limits, self._name)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for count, entry in enumerate(archive, 1):
                if count > limits.entries:
                    raise _too_many(self._name, limits)
                handle: object = _DROPPED
                # Sparse files are no source code, and claim any size.
                regular = entry.isreg() and not entry.issparse()
                if not entry.isdir() and not regular:
                    handle = _LINK
                elif regular and wanted(entry.name.rpartition("/")[2]):
                    if (kept := kept + entry.size) > limits.kept:
                        raise _bomb(self._name, f"more than {limits.kept // _MIB} MiB", limits)
                    content = archive.extractfile(entry)
                    handle = content.read() if content is not None else _LINK
                self._add(entry.name, handle, folder=entry.isdir())
        stream.to_the_end()


class _Unpacker:
    """Decompresses a stream; this one hands it on as it is."""

    eof = False
    needs_input = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return data


class _Gzip(_Unpacker):
    """zlib's object with the interface of the other two."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.eof = self._inner.eof
        self.needs_input = not self._inner.unconsumed_tail
        return out


class _Wrapped(_Unpacker):
    """bzip2 or xz."""

    def __init__(self, inner: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._inner = inner

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._inner.decompress(data, max_length)
        self.eof = self._inner.eof
        self.needs_input = self._inner.needs_input
        return out


def _compression(head: bytes, name: str) -> Callable[[], _Unpacker]:
    if head[:2] == b"\x1f\x8b":
        return _Gzip
    if head[:3] == b"BZh":
        return lambda: _Wrapped(bz2.BZ2Decompressor())
    if head[:6] == b"\xfd7zXZ\0":
        return lambda: _Wrapped(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))
    if head[257:262] == b"ustar" or head == bytes(512):  # zeros are where a tar ends
        return _Unpacker
    for magic, called in (
        (b"Rar!", "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    ):
        if head.startswith(magic):
            raise Unreadable(f"{name} is {called}, which is not read here", _AGAIN)
    raise Unreadable(f"{name} is damaged, or no archive at all", "pack it again, and look into it")


class _Stream(io.RawIOBase):
    """A compressed file, unpacked while it is read, up to a limit."""

    def __init__(self, file: IO[bytes], unpacker: _Unpacker, limits: Limits, name: str) -> None:
        self._file = file
        self._unpacker = unpacker
        self._limits = limits
        self._name = name
        self._total = 0

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, fewer only at the end."""
        parts = list(self._pieces(size))
        return b"".join(parts)

    def _pieces(self, size: int) -> Iterator[bytes]:
        missing = size
        while missing > 0 and not self._unpacker.eof:
            data = self._file.read(min(_READ, missing)) if self._unpacker.needs_input else b""
            if not data and self._unpacker.needs_input:
                if not isinstance(self._unpacker, (_Gzip, _Wrapped)):
                    return
                raise EOFError("the compressed stream breaks off")
            out = self._unpacker.decompress(data, missing)
            self._total += len(out)
            if self._total > self._limits.unpacked:
                raise _bomb(
                    self._name, f"more than {self._limits.unpacked // _MIB} MiB", self._limits
                )
            missing -= len(out)
            yield out

    def to_the_end(self) -> None:
        """Read what is left, so that a damaged end is noticed, and checksums are looked at."""
        while self.read(_READ):
            pass


def _inside(name: str) -> Parts | None:
    """The parts of a path in an archive; None when it leads out of it."""
    plain = name.replace("\\", "/")
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    if plain.startswith("/") or ".." in parts or "\0" in plain or plain[1:2] == ":":
        return None
    return parts


def _directory_bytes(file: IO[bytes]) -> int:
    """The size that a zip says its list of entries has. zipfile believes it; we look first."""
    size = file.seek(0, io.SEEK_END)
    tail_at = max(0, size - 65557 - 76)
    file.seek(tail_at)
    tail = file.read()
    file.seek(0)
    end = tail.rfind(b"PK\5\6")
    if end < 0 or len(tail) - end < 22:
        raise zipfile.BadZipFile("no end of the list of entries")
    told = int(struct.unpack_from("<L", tail, end + 12)[0])
    large = tail.rfind(b"PK\6\6", 0, end)
    if large >= 0 and len(tail) - large >= 56:
        told = max(told if told != 0xFFFFFFFF else 0, struct.unpack_from("<Q", tail, large + 40)[0])
    return told


def _too_many(name: str, limits: Limits) -> Unreadable:
    return Unreadable(
        f"{name} has more than {limits.entries:,} entries", "hand in only the lab's files"
    )


def _bomb(name: str, how_much: str, limits: Limits) -> Unreadable:
    return Unreadable(
        f"{name} unpacks to {how_much}; {limits.unpacked // _MIB} MiB are read at most",
        "hand in only the lab's files",
    )


class _named:
    """Whatever a damaged archive makes Python's readers raise, as one sentence about it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, Unreadable) or not isinstance(error, Exception):
            return
        if isinstance(error, lzma.LZMAError) and "emory" in str(error):
            raise Unreadable(
                f"{self._name} asks for too much memory to be unpacked",
                "pack it with usual settings",
            ) from error
        raise Unreadable(
            f"{self._name} is damaged: {str(error)[:120] or type(error).__name__}",
            "pack it again, and look into it before you hand it in",
        ) from error

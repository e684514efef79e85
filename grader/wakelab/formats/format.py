"""What a format is."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from wakelab.report import Report


class Audience(StrEnum):
    """Who reads a format, and so what it may hold before the due date.

    student     the platform shows it all; a hidden check is there without its finding
    platform    the platform itself hides what is marked so
    instructor  nobody else sees it; everything is in it
    """

    STUDENT = "student"
    PLATFORM = "platform"
    INSTRUCTOR = "instructor"


@dataclass(frozen=True)
class Surroundings:
    """What a report does not know, because it is the same wherever one grades.

    environment  the platform's variables
    folder       where in the student's repository the files handed in lie, "lab/08-button-future";
                 empty: at its top
    now          the time, ISO 8601 in UTC; only for formats that must have one
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    now: str = ""

    def path(self, file: str) -> str:
        """A file of a report, as the repository knows it. A plain name is a file handed in; the
        others are named from the top already. Empty for what lies outside: `#line` lets a student
        name any file."""
        where = posixpath.normpath(file) if file else ""
        if where in ("", ".", "..") or where.startswith(("/", "../")):
            return ""
        return where if "/" in where or not self.folder else f"{self.folder}/{where}"


@dataclass(frozen=True)
class Format:
    """A shape that a report can be given.

    name       what is typed, "gradescope"
    file       the file's name, as the platform wants it where it wants one
    title      for people
    convert    pure: the same report and surroundings give the same text
    variables  of the environment, without which it cannot be made
    """

    name: str
    file: str
    title: str
    audience: Audience
    convert: Callable[[Report, Surroundings], str]
    variables: tuple[str, ...] = ()

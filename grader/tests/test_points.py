"""What checks are worth, and what stays hidden until an exercise is due."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from wakelab.checking import Spec, specs_in
from wakelab.cli import main
from wakelab.confinement import choose
from wakelab.errors import UserError
from wakelab.grade import grade, plan_of
from wakelab.labs import all_labs, checkout_root, load_lab
from wakelab.points import (
    NO_CHANGES,
    PointsPlan,
    as_the_student_sees,
    load_points,
    require_known,
)
from wakelab.report import CheckResult, Report, Verdict, Visibility, make_report, read_report
from wakelab.running import checks_of
from wakelab.sweep_option import SWEEP_MODES
from wakelab.verify import verify

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
CONFINEMENT = choose(ROOT, trust=False, own=True)
SPECS = (Spec("builds", "It builds", 0, ()), Spec("one", "One press", 10, ("builds",)))
HIDDEN = Visibility.AFTER_DUE_DATE


def file_of(folder: Path, text: str) -> Path:
    path = folder / "points.toml"
    path.write_text(text, encoding="utf-8")
    return path


# ---- the file ------------------------------------------------------------------------------------


def test_a_file_of_points(tmp_path: Path) -> None:
    plan = load_points(file_of(tmp_path, 'hidden = ["one"]\n[points]\none = 7\n'))
    assert plan.applied(SPECS[1]).points == 7
    assert plan.applied(SPECS[0]).points == 0
    assert [plan.visibility(spec) for spec in SPECS] == [Visibility.VISIBLE, HIDDEN]
    assert len(plan.sha256) == 64


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("points = 3", "'points' must be a table"),
        ("[points]\none = -1", "'points.one' is -1"),
        ("[points]\none = 1.5", "'points.one' is 1.5"),
        ("[points]\none = true", "'points.one' is True"),
        ("[points]\none = 10001", "'points.one' is 10001"),
        ('hidden = "one"', "'hidden' must be a list"),
        ("hidden = [1]", "'hidden' must be a list"),
        ("weights = 1", "unknown key 'weights'"),
        ("[points", "not valid TOML"),
        ("# " + "x" * 70_000, "larger than 64 KiB"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, what: str) -> None:
    path = file_of(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_points(path)
    assert what in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.next_step


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read") as caught:
        load_points(tmp_path / "none.toml")
    assert "--points" in caught.value.next_step


@pytest.mark.parametrize(
    ("plan", "key"),
    [
        (PointsPlan({"two": 1}, where="f.toml"), "'points.two'"),
        (PointsPlan({}, ("two",), "f.toml"), "'hidden'"),
    ],
)
def test_an_unknown_check_is_told_with_file_and_key(plan: PointsPlan, key: str) -> None:
    with pytest.raises(UserError) as caught:
        require_known(plan, SPECS)
    assert key in caught.value.what and "'two'" in caught.value.what
    assert caught.value.where == "f.toml"
    assert caught.value.next_step == "checks: builds, one"


def test_a_hidden_check_must_not_be_given_away_by_one_that_stands_on_it() -> None:
    with pytest.raises(UserError, match="'one' stands on it"):
        require_known(PointsPlan({}, ("builds",)), SPECS)
    require_known(PointsPlan({}, ("builds", "one")), SPECS)


def test_every_labs_own_points_are_right() -> None:
    for lab in all_labs(ROOT):
        if lab.points is not NO_CHANGES:
            require_known(lab.points, specs_in(checks_of(ROOT, lab)))


def test_the_example_in_the_documents_is_right(tmp_path: Path) -> None:
    page = (ROOT / "docs/instructors/points.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.S)
    plan = load_points(file_of(tmp_path, example))
    require_known(plan, specs_in(checks_of(ROOT, LAB)))
    assert plan.points and plan.hidden


def test_the_specs_are_those_that_run() -> None:
    report = grade(ROOT, LAB, LAB.directory, CONFINEMENT, SWEEP_MODES)
    specs = specs_in(checks_of(ROOT, LAB))
    told = [(spec.id, spec.title, spec.points, spec.needs) for spec in specs]
    found = [(each.id, each.title, each.max_points, each.needs) for each in report.checks]
    assert told == found


# ---- lab.toml ------------------------------------------------------------------------------------


def lab_with(tmp_path: Path, extra: str) -> Path:
    """A checkout whose lab 08 says `extra` above its tables."""
    root = tmp_path / "checkout"
    folder = shutil.copytree(LAB.directory, root / "lab" / LAB.slug)
    path = folder / "lab.toml"
    path.write_text(extra + path.read_text(encoding="utf-8"), encoding="utf-8")
    return root


def test_a_labs_own_points_and_those_of_the_instructor_on_top(tmp_path: Path) -> None:
    text = 'points = { host = 1, handler = 2 }\nhidden = ["warnings"]\n'
    lab = load_lab(lab_with(tmp_path, text), "08")
    checks = checks_of(ROOT, LAB)
    assert plan_of(lab, checks, NO_CHANGES) == lab.points
    both = plan_of(lab, checks, PointsPlan({"handler": 3}))
    assert both.points == {"host": 1, "handler": 3}
    assert both.hidden == ()


def test_a_lab_toml_that_names_no_check_is_told(tmp_path: Path) -> None:
    lab = load_lab(lab_with(tmp_path, "points = { hots = 1 }\n"), "08")
    with pytest.raises(UserError, match="'points.hots'") as caught:
        plan_of(lab, checks_of(ROOT, LAB), NO_CHANGES)
    assert caught.value.where.endswith("lab.toml")
    with pytest.raises(UserError, match="'points' must be a table"):
        load_lab(lab_with(tmp_path / "b", "points = 1\n"), "08")


# ---- what the student sees -----------------------------------------------------------------------


def graded(hidden: Verdict = Verdict.WRONG, *, visible: bool = True) -> Report:
    secret = CheckResult(
        "two", "Two presses", hidden, 0, 20, "two lines", "one line", "because", "look",
        story=("press",), diagnosis="late-mask", level="Os", trace_hash="ab", needs=("one",),
        visibility=HIDDEN,
    )  # fmt: skip
    one = CheckResult("one", "One press", Verdict.PASS, 10, 10)
    return make_report("08", "t", "s", [one, secret] if visible else [secret])


def test_the_student_sees_that_a_hidden_check_is_there_and_not_what_it_found() -> None:
    seen = as_the_student_sees(graded())
    assert (seen.verdict, seen.points, seen.max_points) == (Verdict.PASS, 10, 10)
    assert seen.checks[0] == graded().checks[0]
    assert "after the due date" in seen.checks[1].seen and "20 points" in seen.checks[1].expected


def test_what_the_student_sees_does_not_depend_on_what_a_hidden_check_found() -> None:
    shown = [as_the_student_sees(graded(verdict)) for verdict in Verdict]
    assert all(each == shown[0] for each in shown)


def test_where_all_is_hidden_nothing_is_said() -> None:
    seen = as_the_student_sees(graded(visible=False))
    assert (seen.verdict, seen.points, seen.max_points) == (Verdict.SKIPPED, 0, 0)


def test_where_nothing_is_hidden_the_report_is_the_same() -> None:
    report = make_report("08", "t", "s", [CheckResult("one", "t", Verdict.WRONG, 0, 10)])
    assert as_the_student_sees(report) is report


# ---- all of it -----------------------------------------------------------------------------------


def test_an_instructors_points_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stub fails its hidden check; neither screen nor exit code says so; the report does."""
    hidden = [spec.id for spec in specs_in(checks_of(ROOT, LAB)) if spec.id != "builds"]
    text = f"hidden = {hidden}\n[points]\nbuilds = 40\nhost = 60\n"
    points = file_of(tmp_path, text)
    arguments = ["grade", str(LAB.directory), "--points", str(points), "--out", str(tmp_path)]
    assert main(arguments) == 0
    screen = capsys.readouterr().out
    assert "40 of 40 points" in screen and "todo" not in screen
    report = read_report(tmp_path / "report.json")
    assert (report.verdict, report.points) == (Verdict.TODO, 40)
    assert {check.id: check.max_points for check in report.checks}["host"] == 60
    assert [check.id for check in report.checks if check.visibility is HIDDEN] == [
        each for each in hidden if each in {check.id for check in report.checks}
    ]
    assert main([*arguments, "--show-hidden"]) == 1
    assert "TODO(1)" in capsys.readouterr().out

    assert verify(
        ROOT, tmp_path / "report.json", LAB.directory, CONFINEMENT, load_points(points)
    ).same
    assert main(["verify", str(tmp_path / "report.json"), str(LAB.directory)]) == 2
    other = file_of(tmp_path, text.replace("40", "41"))
    told = verify(ROOT, tmp_path / "report.json", LAB.directory, CONFINEMENT, load_points(other))
    assert "hashes.points" in [each.path for each in told.differences]


def test_the_checks_are_listed_with_what_they_are_worth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["checks", "--lab", "08"]) == 0
    listed = capsys.readouterr().out
    specs = specs_in(checks_of(ROOT, LAB))
    assert [line.split()[1] for line in listed.splitlines()[:-1]] == [spec.id for spec in specs]
    own = LAB.sweep.modes if LAB.sweep else ()
    counted = sum(spec.points for spec in specs if not spec.mode or spec.mode in own)
    assert listed.splitlines()[-1] == f"{counted:>6}  in all"
    assert "hidden" not in listed
    points = file_of(tmp_path, 'hidden = ["warnings"]\n[points]\nwarnings = 77\n')
    assert main(["checks", "--points", str(points)]) == 0
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "warnings" in each]
    assert line.split()[0] == "77" and "hidden until due" in line
    assert main(["checks", "--points", str(file_of(tmp_path, 'hidden = ["x"]'))]) == 2


def test_what_is_only_checked_when_asked_for_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert LAB.sweep is not None
    narrow = replace(LAB, sweep=LAB.sweep._replace(modes=("singles",)))
    monkeypatch.setattr("wakelab.labs.load_lab", lambda *_: narrow)
    assert main(["checks"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert any("only with --sweep pairs" in line for line in listed)
    rest = [int(line.split()[0]) for line in listed[:-1] if "only with --sweep" not in line]
    assert listed[-1] == f"{sum(rest):>6}  in all"


def test_a_wrong_file_of_points_leaves_no_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = file_of(tmp_path, "[points]\none-lime = 3\n")
    out = tmp_path / "out"
    arguments = ["grade", str(LAB.directory), "--points", str(points), "--out", str(out)]
    assert main(arguments) == 2
    assert "points.one-lime" in capsys.readouterr().err
    assert not out.exists()

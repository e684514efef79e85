"""The workflows that instructors copy: every command in them exists, and their steps are run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml

from wakelab.cli import _parser
from wakelab.formats.registry import format_named
from wakelab.labs import checkout_root, load_lab

ROOT = checkout_root()
LAB = load_lab(ROOT, "08")
CI = ROOT / "docs" / "instructors" / "ci"
WRONG = ROOT / "grader/corpus/08-button-future/wrong/check-then-register"
WAKELAB = f"{sys.prefix}/bin/wakelab"


def loaded(name: str) -> Any:
    return yaml.safe_load((CI / name).read_text(encoding="utf-8"))


def github_steps() -> dict[str, Any]:
    steps = loaded("github.yml")["jobs"]["grade"]["steps"]
    return {step.get("name", step.get("uses")): step for step in steps}


def scripts() -> list[str]:
    gitlab = loaded("gitlab.yml")["wakelab"]
    return [
        *(step["run"] for step in github_steps().values() if "run" in step),
        *gitlab["before_script"],
        *gitlab["script"],
    ]


@pytest.fixture(params=["reference", "wrong"])
def submission(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bool]:
    """A student's repository, and whether it is right."""
    folder = tmp_path / "submission"
    nested = folder / "lab" / LAB.slug
    nested.mkdir(parents=True)
    right = request.param == "reference"
    for source in (LAB.reference, *(() if right else (WRONG,))):
        for name in LAB.files:
            if (source / name).is_file():
                shutil.copy(source / name, nested)
    return folder, right


def run(script: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


# ---- what they type exists -----------------------------------------------------------------------


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^\.PHONY: (.*)$", makefile, re.M)[0].split()
    python = (CI / "classroom50.py").read_text(encoding="utf-8")
    typed = re.findall(r"\bmake(?: -C \S+)? ([a-z0-9]+)$", "\n".join(scripts()), re.M)
    typed += re.findall(r'"make", .*"([a-z]+)"', python)
    assert len(typed) == 3
    assert set(typed) <= set(targets)


def test_every_wakelab_command_is_one() -> None:
    """Its options, too: argparse ends the program where it does not know one."""
    commands = [
        command
        for script in scripts()
        for command in re.findall(r"/wakelab (grade .*?)(?:\|\||$)", script.replace("\\\n", " "))
    ]
    assert len(commands) == 2
    for command in commands:
        words = shlex.split(re.sub(r"\$\{\w+:\+(\S+)\}", r"\1", command))
        options = _parser().parse_args(words)
        assert options.format and all(format_named(name) for name in options.format)


def test_every_wakelab_command_in_the_documents_is_one() -> None:
    pages = [*(ROOT / "docs" / "instructors").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    typed = re.findall(r"(?:^\.venv/bin/|`)wakelab ([a-z][^`\n]* [^`\n]*)", text, re.M)
    assert len(typed) > 4
    for command in typed:
        _parser().parse_args(shlex.split(command))


def test_what_is_kept_is_what_is_written() -> None:
    reports = loaded("gitlab.yml")["wakelab"]["artifacts"]["reports"]
    assert reports["junit"] == f"results/{format_named('junit').file}"
    assert reports["codequality"] == f"results/{format_named('gitlab').file}"
    grade = github_steps()["Grade"]["run"]
    for name in ("github-annotations", "github-summary"):
        assert f"results/{format_named(name).file}" in grade


def test_nothing_more_is_allowed_than_to_read() -> None:
    assert loaded("github.yml")["permissions"] == {"contents": "read"}
    for step in github_steps().values():
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False
    assert loaded("gitlab.yml")["wakelab"]["variables"]["TRUST"] == ""


# ---- and does what it is to do -------------------------------------------------------------------


def test_the_github_step(submission: tuple[Path, bool], tmp_path: Path) -> None:
    folder, right = submission
    summary = tmp_path / "step-summary.md"
    script = github_steps()["Grade"]["run"].replace(".venv/bin/wakelab", shlex.quote(WAKELAB))
    done = run(
        script, LAB="08", GITHUB_WORKSPACE=str(folder.parent), GITHUB_STEP_SUMMARY=str(summary)
    )
    assert done.returncode == (0 if right else 1), done.stderr
    stopped, commands = done.stdout.split("::stop-commands::", 1)[1].split("\n::", 1)
    token, _, screen = stopped.partition("\n")
    assert commands.startswith(f"{token}::\n")
    assert "points" in screen
    annotations = commands.splitlines()[1:]
    assert annotations and all(each.startswith("::") for each in annotations)
    errors = [each for each in annotations if each.startswith("::error")]
    assert bool(errors) == (not right)
    assert right or any(f"file=lab/{LAB.slug}/button_future.c,line=" in each for each in errors)
    assert summary.read_text(encoding="utf-8").startswith("## Lab 08")
    assert (folder.parent / "results" / "report.json").is_file()


def test_the_github_step_where_nothing_can_be_graded(tmp_path: Path) -> None:
    script = github_steps()["Grade"]["run"].replace(".venv/bin/wakelab", shlex.quote(WAKELAB))
    summary = tmp_path / "step-summary.md"
    done = run(script, LAB="99", GITHUB_WORKSPACE=str(tmp_path), GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 2
    assert "no lab '99'" in done.stderr
    assert not summary.exists()


def test_the_gitlab_step(submission: tuple[Path, bool]) -> None:
    folder, right = submission
    (script,) = loaded("gitlab.yml")["wakelab"]["script"]
    script = script.replace("/opt/wakelab/.venv/bin/wakelab", shlex.quote(WAKELAB))
    done = run(script, LAB="08", TRUST="", CI_PROJECT_DIR=str(folder))
    allowed = loaded("gitlab.yml")["wakelab"]["allow_failure"]["exit_codes"]
    assert done.returncode == (0 if right else allowed), done.stderr
    found = json.loads((folder / "results/gl-code-quality-report.json").read_text())
    assert bool(found) == (not right)
    assert all((folder / each["location"]["path"]).is_file() for each in found)
    ElementTree.parse(folder / "results/junit.xml")


def test_the_classroom50_script(submission: tuple[Path, bool]) -> None:
    folder, right = submission
    given = {
        "CLASSROOM": "embedded",
        "ASSIGNMENT": "lab-08",
        "USERNAME": "alice",
        "SUBMISSION_TAG": "submit/1",
        "COMMIT_URL": "https://github.example/c",
        "RELEASE_URL": "https://github.example/r",
        "WAKELAB_CHECKOUT": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, str(CI / "classroom50.py")],
        cwd=folder,
        env={**os.environ, **given},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((folder / "result.json").read_text())
    schema = Path(__file__).parent / "schemas" / "classroom50.schema.json"
    jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(result)
    assert (result["score"] == result["max-score"]) == right
    assert result["owner"] == "alice"


def test_the_classroom50_script_gives_no_mark_where_it_could_not_grade(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(CI / "classroom50.py")],
        cwd=tmp_path,
        env={**os.environ, "WAKELAB_CHECKOUT": str(ROOT), "CLASSROOM": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2 and "needs to be told" in done.stderr
    assert not (tmp_path / "result.json").exists()

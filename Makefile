# The front door of wakelab: every task a person does is a target. `make` alone lists them.
# The list is made from this file: `##@` starts a group, `##` above a target says what it does.
#
# Set-up is part of the first command. It leaves stamps in .venv; make only looks at their dates, so
# it costs nothing once done.

# The exercise, by its number.
LAB = 08
# The folder to grade; empty: the exercise's own folder in lab/.
SUBMISSION =
# The stimulus script for `make script`.
SCRIPT =
# The id of a schedule, from a report, for `make replay` and `make debug`.
ID =
# What `make sweep` tries: singles, pairs or triples; at which level; ALL=1: every place; INTERRUPTS:
# what else strikes, with commas (UP,tick).
MODE = pairs
LEVEL = Og
ALL =
INTERRUPTS =
# What a grading sweeps on top of what the lab says: triples.
SWEEP =
# A mutant or a right solution, for `make campaign`; anything in QEMU10: on QEMU 10, too.
ONLY =
QEMU10 =
# Anything here: fewer runs in `make bench`.
QUICK =
# The folder or archive with a class's submissions, for `make class`; where its results go (empty:
# build/class/), how many are graded at once (empty: one for each core), and a Dask scheduler.
SUBMISSIONS =
OUT =
JOBS =
SCHEDULER =
# Where `make run` shows the board: browser or terminal; the port of its page, if not any that is free.
UI =
PORT =
# Anything here: with your own files of earlier labs, for `make grade`; from the first hint again.
OWN =
ANEW =
# The name of a new lab: 13-mine.
NAME =
# Anything here: `make grade` and `make script` also fail when not all is right.
STRICT =
# A file with what the checks are worth and what is hidden: docs/instructors/points.md.
POINTS =
# The shape for `make report`; empty: for the terminal.
FORMAT =
# The report for `make verify`.
REPORT =
# Anything here: foreign code runs without the sandbox.
TRUST =
export LAB SUBMISSION SCRIPT STRICT PYTHON ID MODE LEVEL ALL INTERRUPTS QUICK SWEEP ONLY QEMU10 POINTS REPORT FORMAT TRUST
export SUBMISSIONS OUT JOBS SCHEDULER UI PORT OWN ANEW NAME

# Paths below are relative and short, so the checkout may lie anywhere, also under "My Files/ü".
export PYTHONUTF8 = 1
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.PHONY: campaign demo grade watch run next hint report picture trace script sweep replay debug editor class gradescope new-lab verify docs bench test check-course matrix check format setup doctor qemu10 clean help FORCE
.DEFAULT_GOAL := help

# -P: what lies in the current folder is not importable by accident.
PY = .venv/bin/python -P
READY = .venv/ready
TRUSTED = $${TRUST:+--trust-this-code}

# 1 means "not all is right yet". That is an answer, and make need not shout about it.
CALM = status=$$?; if [ $$status = 1 ] && [ -z "$$STRICT" ]; then exit 0; fi; exit $$status

##@ Start here

## The whole thing once: grade the reference, show one press, grade the untouched exercise
demo: $(READY)
	@$(PY) -m wakelab demo

##@ The exercises

## Grade your work: [LAB=08] [SUBMISSION=folder] [SWEEP=triples] [OWN=1: on your own earlier labs] [STRICT=1: fail unless full marks]
grade: $(READY)
	@$(PY) -m wakelab grade $(TRUSTED) --lab "$$LAB" $${SWEEP:+--sweep "$$SWEEP"} $${POINTS:+--points "$$POINTS"} $${OWN:+--own} $${SUBMISSION:+"$$SUBMISSION"}; $(CALM)

## Grade at every save, on one screen, with keys for a hint, the next lab, the report: [LAB=08] [SUBMISSION=folder]
watch: $(READY)
	@$(PY) -m wakelab watch $(TRUSTED) --lab "$$LAB" $${SUBMISSION:+"$$SUBMISSION"}

## Press the board's buttons by hand, in the browser: [LAB=08] [SUBMISSION=folder] [UI=terminal] [LEVEL=Os] [PORT=8000]
run: $(READY)
	@$(PY) -m wakelab run $(TRUSTED) --lab "$$LAB" $${UI:+--ui "$$UI"} --level "$$LEVEL" $${PORT:+--port "$$PORT"} $${SUBMISSION:+"$$SUBMISSION"}

## Where you stand in the course, and what is next
next: $(READY)
	@$(PY) -m wakelab next; $(CALM)

## A hint, of three; each time a stronger one: [LAB=08] [ANEW=1: from the first one]
hint: $(READY)
	@$(PY) -m wakelab hint --lab "$$LAB" $${ANEW:+--anew}

## Show the last report again, or give it a platform's shape: [LAB=08] [FORMAT=gradescope; list: which there are]
report: $(READY)
	@$(PY) -m wakelab $(if $(FORMAT),convert --format "$$FORMAT",report) --lab "$$LAB"

## A page of what there is to see: results, counterexample, map of the window, time line: [LAB=08] [SUBMISSION=folder]
picture: $(READY)
	@$(PY) -m wakelab picture $(TRUSTED) --lab "$$LAB" $${POINTS:+--points "$$POINTS"} $${OUT:+--out "$$OUT"} $${SUBMISSION:+"$$SUBMISSION"}

## A run as a file for other viewers: [FORMAT=vcd|perfetto] [ID=from-a-report | SCRIPT=file] [LAB=08] [SUBMISSION=folder]
trace: $(READY)
	@$(PY) -m wakelab trace $(TRUSTED) --lab "$$LAB" --level "$$LEVEL" $${FORMAT:+--format "$$FORMAT"} $${ID:+--id "$$ID"} $${SCRIPT:+--script "$$SCRIPT"} \
	    $${OUT:+--out "$$OUT"} $${SUBMISSION:+"$$SUBMISSION"}

## Play a script of presses to your program: SCRIPT=file [LAB=08] [SUBMISSION=folder]
script: $(READY)
	@if [ -z "$$SCRIPT" ]; then echo "Say which: make script SCRIPT=file [LAB=08] [SUBMISSION=folder]" >&2; exit 2; fi; \
	$(PY) -m wakelab script $(TRUSTED) --lab "$$LAB" $${SUBMISSION:+--submission "$$SUBMISSION"} "$$SCRIPT"; $(CALM)

## Press before every instruction: [LAB=08] [SUBMISSION=folder] [MODE=singles|triples] [LEVEL=Os] [ALL=1] [INTERRUPTS=UP,tick]
sweep: $(READY)
	@$(PY) -m wakelab sweep $(TRUSTED) --lab "$$LAB" --mode "$$MODE" --level "$$LEVEL" $${ALL:+--all} $${INTERRUPTS:+--interrupts "$$INTERRUPTS"} $${SUBMISSION:+"$$SUBMISSION"}; $(CALM)

## Run one schedule of presses again, step by step: ID=from-a-report [SUBMISSION=folder]
replay: $(READY)
	@$(PY) -m wakelab replay $(TRUSTED) $${ID:?say which: make replay ID=...} $${SUBMISSION:+"$$SUBMISSION"}; $(CALM)

## GDB on the board, at main or where a schedule's last press comes: [LAB=08] [ID=from-a-report] [SUBMISSION=folder] [LEVEL=Os] [PORT=3333: serve it]
debug: $(READY)
	@$(PY) -m wakelab debug $(TRUSTED) --lab "$$LAB" --level "$$LEVEL" $${ID:+--id "$$ID"} $${PORT:+--port "$$PORT"} $${SUBMISSION:+"$$SUBMISSION"}; $(CALM)

## Tell editors how the files are compiled: compile_commands.json; part of the set-up
editor: $(READY)
	@$(PY) -m wakelab editor

##@ For instructors

## Grade a class, as a platform exports it: SUBMISSIONS=folder-or-archive [LAB=08] [OUT=folder] [POINTS=file] [JOBS=4] [SCHEDULER=tcp://...]
class: $(READY)
	@if [ -z "$$SUBMISSIONS" ]; then echo "Say which: make class SUBMISSIONS=folder-or-archive" >&2; exit 2; fi; \
	if [ -n "$$SCHEDULER" ]; then sh grader/setup.sh dask || exit 2; fi; \
	$(PY) -m wakelab class $(TRUSTED) --lab "$$LAB" $${OUT:+--out "$$OUT"} $${JOBS:+--jobs "$$JOBS"} $${POINTS:+--points "$$POINTS"} \
	    $${SCHEDULER:+--scheduler "$$SCHEDULER"} "$$SUBMISSIONS"

## Pack a lab's autograder for Gradescope: [LAB=08] [POINTS=file] [OUT=autograder.zip] [TRUST=1]
gradescope: $(READY)
	@$(PY) -m wakelab gradescope-zip $(TRUSTED) --lab "$$LAB" $${POINTS:+--points "$$POINTS"} $${OUT:+--out "$$OUT"}

## A lab of your own from a template: NAME=13-mine
new-lab: $(READY)
	@if [ -z "$$NAME" ]; then echo "Say which: make new-lab NAME=13-mine" >&2; exit 2; fi; \
	$(PY) -m wakelab new-lab "$$NAME"

## Grade again and compare with a report, bit by bit: REPORT=file SUBMISSION=folder [POINTS=file]
verify: $(READY)
	@if [ -z "$$REPORT" ] || [ -z "$$SUBMISSION" ]; then echo "Say which: make verify REPORT=file SUBMISSION=folder" >&2; exit 2; fi; \
	$(PY) -m wakelab verify $(TRUSTED) $${POINTS:+--points "$$POINTS"} "$$REPORT" "$$SUBMISSION"

##@ To read

## The documentation as a site, in build/docs/: students, instructors, contributors, every lab
docs: $(READY)
	@sh grader/setup.sh docs
	@$(PY) -m sphinx -q -W --keep-going -b html -c docs . build/docs && echo "build/docs/README.html"

##@ When something is wrong

## What is installed, what is missing, and the line that mends it
doctor:
	@sh grader/doctor.sh

## Install what is missing; part of the commands above, so seldom typed: [PYTHON=python3.12]
setup:
	@sh grader/setup.sh

##@ For people who change wakelab

## All tests: the C core on the host and on the board, the bench, the grader
test: $(READY) .venv/ready-tests qemu10
	@$(MAKE) --silent --no-print-directory -C lab/async/tests all
	@$(PY) -m pytest --numprocesses 3 --dist loadfile

## Lint, format and types of the Python; the C without a warning from -O0 to -Os
check: $(READY)
	@$(PY) -m ruff check qemu grader
	@$(PY) -m ruff format --check qemu grader
	@$(PY) -m mypy
	@for level in O0 Og O2 Os; do \
	    for file in $(C_FILES); do \
	        $(CROSS_CC) -$$level -c -o /dev/null "$$file" || exit 1; \
	    done; \
	done; echo "C: $(words $(C_FILES)) files without a warning at -O0, -Og, -O2 and -Os"
	@if command -v shellcheck >/dev/null; then shellcheck $(SHELL_FILES) && echo "shell: clean"; fi

SHELL_FILES = .ci/run $(wildcard grader/*.sh) $(addprefix grader/wakelab/autograder/,setup.sh run_autograder)
C_FILES = $(sort $(wildcard lab/board/*.c lab/async/*.c lab/[0-9]*/*.c solution/[0-9]*/*.c \
    qemu/sweep/*.c))
CROSS_CC = arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -std=c11 -ffreestanding -Ilab/board -Ilab/async $(addprefix -I,$(wildcard lab/[0-9]*)) \
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror

## The course checks itself: stubs, references, every wrong and right submission, hints, texts
check-course: $(READY) .venv/ready-tests
	@$(PY) -m pytest grader/tests/test_corpus.py grader/tests/test_course.py

## Which check finds which wrong submission: [LAB=05: of this lab only]
matrix: $(READY)
	@$(PY) -m wakelab matrix $(if $(filter command% environment%,$(origin LAB)),--lab "$$LAB")

## The sweep against every mutant and every right solution; takes an hour: [ONLY=ack-late] [LEVEL=Os] [QEMU10=1]
campaign: $(READY) $(if $(QEMU10),qemu10)
	@$(PY) grader/tests/campaign.py $${ONLY:+--only "$$ONLY"} $(if $(filter command% environment%,$(origin LEVEL)),--level "$$LEVEL") $${QEMU10:+--qemu10}

## Put the Python into the agreed format
format: $(READY)
	@$(PY) -m ruff check --quiet --select I --fix qemu grader
	@$(PY) -m ruff format qemu grader

## Measure: grading, the bench's share, interrupt to poll, code size, the sweep: [QUICK=1]
bench: $(READY)
	@$(PY) -m wakelab bench $${QUICK:+--quick}

## QEMU 10 beside the system's, for the tests (Debian 12; elsewhere it says so)
qemu10:
	@sh grader/setup.sh qemu10

## Remove what building and testing made; .venv and .cache stay
clean:
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find qemu grader -name __pycache__ -type d -prune -exec rm -rf {} +

## This list
help:
	@if [ -t 1 ] && [ -z "$$NO_COLOR" ] && [ "$${TERM:-dumb}" != dumb ]; then bold=1 plain=0; fi; \
	awk -v bold="$${bold:+\033[1m}" -v plain="$${plain:+\033[0m}" ' \
	    BEGIN { printf "wakelab: interrupts and async in C on an emulated board.\n" } \
	    /^##@ / { printf "\n%s%s%s\n", bold, substr($$0, 5), plain; next } \
	    /^## / { says = substr($$0, 4); next } \
	    says != "" && match($$0, /^[a-z0-9-]+:/) { fold(substr($$0, 1, RLENGTH - 1), says) } \
	    { says = "" } \
	    function fold(name, text,    words, n, i, line) { \
	        n = split(text, words, " "); line = ""; \
	        for (i = 1; i <= n; i++) { \
	            if (length(line " " words[i]) > 60) { show(name, line); name = ""; line = "" } \
	            line = line (line == "" ? "" : " ") words[i] } \
	        show(name, line) } \
	    function show(name, line) { \
	        printf "  %s%-18s%s%s\n", bold, (name == "" ? "" : "make " name), plain, line } \
	' Makefile

# ---- set-up -------------------------------------------------------------------------------------

# Says where .venv was made. A moved or copied checkout needs a new one.
-include .venv/home.mk
ifneq ($(VENV_HOME),$(CURDIR))
$(READY): FORCE
endif

$(READY): requirements.lock pyproject.toml .venv/bin/python
	@sh grader/setup.sh

.venv/ready-tests: $(READY) requirements-dask.lock requirements-tests.lock requirements-docs.lock
	@sh grader/setup.sh tests

# A dangling link counts as missing, so a Python that went away is noticed here.
.venv/bin/python .venv/home.mk Makefile: ;

#!/bin/sh
# Gradescope runs this once, as root, when it builds the image. Installs what grading takes, and
# fails where the image is too old for it.
set -eu
root=${AUTOGRADER_ROOT:-/autograder}
cd "$root/source/wakelab"
sh grader/setup.sh

# One grading, of the untouched exercise: whether the tools work here, and the sandbox. What it says
# is for the instructor to read. The image is made all the same: it may be run with other rights than
# it is built with.
mkdir -p "$root/results"
trial=$(mktemp -d)
trap 'rm -rf "$trial"' EXIT
cp lab/"$(cat "$root/source/lab")"/*.[ch] "$trial"
if AUTOGRADER_SUBMISSION=$trial sh "$root/source/run_autograder"; then
    echo "wakelab: the untouched exercise was graded here; the autograder is ready."
else
    echo "wakelab: WARNING: the untouched exercise could not be graded while the image was built; see above." >&2
    echo "wakelab: submit it once, before students do: docs/instructors/formats.md" >&2
fi
rm -f "$root/results/results.json"

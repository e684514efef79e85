#!/bin/sh
# Sets wakelab up: Debian packages by apt-get, Python packages in .venv. Quick when nothing is missing.
#
#   grader/setup.sh           what it takes to use wakelab
#   grader/setup.sh tests     and what its own tests need
#   grader/setup.sh dask      and what a class graded on a Dask cluster needs, at both ends
#   grader/setup.sh docs      and what makes the site of the documentation
#   grader/setup.sh qemu10    QEMU 10 beside the system's, in .cache/qemu-10 (Debian 12 only)
#   grader/setup.sh python    only print the Python that .venv is made with
#
# Touches nothing outside the checkout, except the packages that apt-get installs.
# Shell, because it runs before Python is there.
set -eu
unset CDPATH PYTHONHOME PYTHONPATH
cd "$(dirname "$0")/.."
here=$(pwd -P)
log=.cache/setup.log

say() { printf 'wakelab: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
stop() {
    for sentence in "$@"; do say "$sentence" >&2; done
    exit 1
}

# ---- Python ---------------------------------------------------------------------------------------

# Prints the first Python that is new enough and can make a virtual environment. The system's own comes
# first: distributions build theirs with profiles of its runs, pyenv by default does not, and a grading
# takes a tenth longer with that one. A pyenv shim may exist and yet not run, so each is tried, not just
# looked for.
find_python() {
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else
        set -- /usr/bin/python3 python3 python3.12 python3.11 python3.13
    fi
    for candidate in "$@"; do
        python_has ensurepip "$candidate" && return
    done
    return 1
}

# Is $2 new enough, and has it module $1? Prints where it is.
python_has() {
    "$2" -c "import sys
sys.version_info >= (3, 11) or sys.exit(1)
import venv, $1
print(sys.executable)" 2>/dev/null
}

# The system's own Python would do, but for Debian's package of its venv module, which can be had without asking.
only_lacks_venv() {
    [ -z "${PYTHON:-}" ] && [ ! -f .venv/ready ] && have apt-get && [ "$(id -u)" = 0 ] &&
        python_has sys /usr/bin/python3 >/dev/null && ! python_has ensurepip /usr/bin/python3 >/dev/null
}

no_python() {
    if [ -n "${PYTHON:-}" ]; then
        stop "PYTHON=$PYTHON does not run, is older than 3.11, or lacks the venv module."
    fi
    stop "No Python 3.11 or newer with its venv module was found; python3 is $(python3 --version 2>&1 || true)." \
        "Install one (python3.12 and python3.12-venv, say), then: make setup PYTHON=/path/to/python3.12"
}

# ---- Debian packages ------------------------------------------------------------------------------

# Prints the packages whose programs are missing: for use, and with "tests" for wakelab's own tests.
missing_packages() {
    have qemu-system-arm || echo qemu-system-arm
    have arm-none-eabi-gcc || echo gcc-arm-none-eabi
    # The sandbox for what others handed in is made of Linux's namespaces; elsewhere there is none.
    have bwrap || [ "$(uname -s)" != Linux ] || echo bubblewrap
    have make || echo make
    ! only_lacks_venv || echo python3-venv
    find_python >/dev/null || {
        have python3 || echo python3
        case $(dpkg-query -W -f='${Status}' python3-venv 2>/dev/null) in
        *' installed') ;; # it is there, so python3 itself is too old: apt-get will not mend that
        *) echo python3-venv ;;
        esac
    }
    [ "$1" = tests ] || return 0
    if ! have gcc; then
        echo gcc
        echo libc6-dev
    elif ! printf '#include <stdio.h>\n' | gcc -E -o /dev/null -x c - 2>/dev/null; then
        echo libc6-dev
    fi
    have gdb-multiarch || have arm-none-eabi-gdb || echo gdb-multiarch
    # Ubuntu's package of this name only fetches a snap; see `browser`.
    have chromium || grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null || echo chromium
}

install_packages() {
    if ! have apt-get; then
        say "missing: $*" >&2
        if [ "$(uname -s)" = Darwin ]; then
            stop "With Homebrew (not tried by us): brew install qemu arm-none-eabi-gcc python@3.12"
        fi
        stop "This set-up knows Debian and Ubuntu. Elsewhere, install QEMU for Arm 7.2 or newer," \
            "the compiler arm-none-eabi-gcc 10 or newer, bubblewrap, and Python 3.11 or newer, then try again."
    fi
    line="apt-get update && apt-get install -y --no-install-recommends $*"
    if [ "$(id -u)" = 0 ]; then
        root=''
    elif have sudo && sudo -n true 2>/dev/null; then
        root=sudo
    else
        say "These Debian packages are missing: $*" >&2
        say "Installing them takes an administrator. Type this line, then the same command again:" >&2
        if have sudo; then
            stop "    sudo sh -c '$line'"
        fi
        stop "    su -c '$line'"
    fi
    say "installing by apt-get: $*"
    case $* in *arm*) say "This happens once. The emulator and the compiler are about 100 MB: a minute or a few." ;; esac
    apt='DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300'
    # shellcheck disable=SC2086 # root and apt are several words on purpose
    $root env $apt update >>"$log" 2>&1 </dev/null || say "apt-get update failed; trying with what apt-get knows."
    # shellcheck disable=SC2086
    if ! $root env $apt install -y --no-install-recommends "$@" >>"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        stop "apt-get could not install $*; its last words are above, all of them in $log." \
            "Without a network? It is needed this once. By hand: $line"
    fi
}

packages() {
    missing=$(missing_packages "$1")
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086 # one word per package
        install_packages $missing
    fi
    sh grader/doctor.sh tools
}

# ---- .venv ----------------------------------------------------------------------------------------

# What .venv was made of. A different answer to the first three lines means: make it again.
ingredients() {
    printf 'checkout %s\nlock %s\nproject %s\n' "$here" "$(cksum <requirements.lock)" "$(cksum <pyproject.toml)"
}

pip() {
    # A cache inside the checkout, and no user's settings that would install elsewhere.
    if ! PIP_USER=0 PYTHONUTF8=1 .venv/bin/python -m pip --disable-pip-version-check --no-input \
        --cache-dir "$here/.cache/pip" "$@" >>"$log" 2>&1; then
        tail -n 15 "$log" >&2
        stop "pip could not install the Python packages; its last words are above, all of them in $log." \
            "Without a network? It is needed this once. Then try the same command again."
    fi
}

venv() {
    wanted=$(ingredients)
    if [ -f .venv/ready ] && .venv/bin/python -c '' 2>/dev/null; then
        made=$(cat .venv/ready)
        if [ "$made" = "$wanted" ]; then
            touch .venv/ready
            return
        fi
        if [ "${made%project *}" = "${wanted%project *}" ]; then
            rm .venv/ready # only pyproject.toml changed: the packages stay
            pip install --no-deps --no-build-isolation --no-index -e .
            finish
            return
        fi
    fi
    python=$(find_python) || no_python
    say "putting the Python packages of requirements.lock into .venv"
    say "This happens once. They are downloaded and checked against their hashes: half a minute."
    rm -rf .venv
    "$python" -m venv .venv >>"$log" 2>&1 || {
        tail -n 5 "$log" >&2
        stop "$python could not make a virtual environment; see $log."
    }
    pip install --require-hashes -r requirements.lock
    pip install --no-deps --no-build-isolation --no-index -e .
    finish
}

finish() {
    # Or the first grading would do it; and every one, where Python is told to write no bytecode.
    .venv/bin/python -m compileall -q qemu/wakebench grader/wakelab grader/checks >>"$log" 2>&1 ||
        say "the Python code could not be compiled ahead (see $log); gradings take a little longer."
    .venv/bin/python -P -m wakelab editor >>"$log" 2>&1 ||
        say "compile_commands.json could not be written (see $log); only editors miss it."
    # The Makefile compares this with its own place: a checkout that was moved needs a new .venv.
    # shellcheck disable=SC2016 # the dollars are make's
    printf 'VENV_HOME := %s\n' "$here" | sed -e 's/[$]/$$/g' -e 's/#/\\#/g' >.venv/home.mk
    printf '%s\n' "$wanted" >.venv/ready.new
    mv .venv/ready.new .venv/ready
}

# What requirements-$1.lock lists, beside what is there already, and only when it has changed since.
beside() {
    wanted=$(cksum <"requirements-$1.lock")
    [ "$(cat ".venv/lock-$1" 2>/dev/null)" = "$wanted" ] && return
    say "putting the Python packages of requirements-$1.lock into .venv, too"
    pip install --require-hashes -r "requirements-$1.lock"
    printf '%s\n' "$wanted" >".venv/lock-$1"
}

# For the tests of what is seen in a browser, where the system has no package of one: the driver's own.
browser() {
    if have chromium || [ -d .cache/browsers ]; then return; fi
    say "fetching a browser for the tests into .cache/browsers, once."
    PLAYWRIGHT_BROWSERS_PATH="$here/.cache/browsers" .venv/bin/python -m playwright install --only-shell chromium \
        >>"$log" 2>&1 </dev/null || say "there is none (see $log): the tests that need it will be skipped."
}

# ---- QEMU 10 --------------------------------------------------------------------------------------

# Unpacks QEMU 10 from Debian's backports into .cache/qemu-10, with lists and sources of its own:
# the system's packages and apt's settings stay as they are, and no administrator is needed.
qemu10() {
    home=$here/.cache/qemu-10
    program=.cache/qemu-10/bin/qemu-system-arm
    if "$program" --version >/dev/null 2>&1; then return; fi
    system=$(sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\).*/\1/p' /etc/os-release 2>/dev/null || uname -s)
    if ! have apt-get || ! grep -q '^VERSION_CODENAME=bookworm' /etc/os-release || ! grep -q '^ID=debian' /etc/os-release; then
        say "QEMU 10 beside the system's: not available here (it comes from Debian 12's backports; this is $system)."
        return
    fi
    say "fetching QEMU 10 from Debian's backports into .cache/qemu-10, once, for the tests."
    rm -rf .cache/qemu-10
    mkdir -p .cache/qemu-10/sources .cache/qemu-10/lists/partial .cache/qemu-10/archives/partial .cache/qemu-10/root .cache/qemu-10/bin
    cat >.cache/qemu-10/sources/backports.sources <<-'EOF'
	Types: deb
	URIs: http://deb.debian.org/debian
	Suites: bookworm-backports
	Components: main
	Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	EOF
    if ! fetch_qemu10 >>"$log" 2>&1 </dev/null; then
        rm -rf .cache/qemu-10
        say "QEMU 10 beside the system's: not available here (fetching it failed, see $log)."
        return
    fi
    say "$("$program" --version | head -n 1) is in $program."
}

private_apt() {
    apt-get -q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$home/sources" \
        -o "Dir::State::Lists=$home/lists" -o "Dir::Cache=$home" -o "Dir::Cache::Archives=$home/archives" \
        -o APT::Sandbox::User=root -o Acquire::Retries=2 "$@"
}

# In a subshell and joined by &&, because `set -e` sleeps inside an `if`.
fetch_qemu10() (
    private_apt update &&
        cd "$home/archives" &&
        private_apt download qemu-system-arm/bookworm-backports qemu-system-common/bookworm-backports \
            qemu-system-data/bookworm-backports &&
        for package in ./*.deb; do dpkg-deb -x "$package" "$home/root" || exit 1; done &&
        cat >"$home/bin/qemu-system-arm" <<-'EOF' &&
	#!/bin/sh
	root=$(dirname "$0")/../root
	exec "$root/usr/bin/qemu-system-arm" -L "$root/usr/share/qemu" "$@"
	EOF
        chmod +x "$home/bin/qemu-system-arm" &&
        "$home/bin/qemu-system-arm" --version &&
        rm -rf "$home/archives" "$home/lists" "$home"/*.bin
)

# ---- the jobs -------------------------------------------------------------------------------------

job=${1:-use}
case $job in
use | tests | dask | docs | qemu10) ;;
python) find_python || no_python; exit ;;
*) stop "usage: grader/setup.sh [tests | dask | docs | qemu10 | python]" ;;
esac

# Two set-ups at once: the second waits, then finds everything done.
mkdir -p .cache
if have flock; then
    exec 9>.cache/setup.lock
    flock -n 9 || { say "another set-up is at work in this checkout; waiting for it."; flock 9; }
fi
: >"$log"

case $job in
use) packages use; venv ;;
tests) packages tests; venv; beside dask; beside tests; beside docs; browser; touch .venv/ready-tests ;;
dask) packages use; venv; beside dask ;;
docs) packages use; venv; beside docs ;;
qemu10) qemu10 ;;
esac

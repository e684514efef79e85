#!/bin/sh
# Says what wakelab needs, what is here, and the line that mends the rest.
#
#   grader/doctor.sh          everything; exit 1 if something needed is missing or too old
#   grader/doctor.sh tools    only QEMU and the compiler, and silent when both are fine
#
# Shell, and nothing but the standard tools: it has to work where nothing is installed.
set -u
unset CDPATH
cd "$(dirname "$0")/.." || exit 2

only=${1:-}
sick=0
bold='' red='' green='' yellow='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    esc=$(printf '\033')
    bold="${esc}[1m" red="${esc}[31m" green="${esc}[32m" yellow="${esc}[33m" plain="${esc}[0m"
fi

have() { command -v "$1" >/dev/null 2>&1; }

# How to get Debian package $1, or Homebrew's $2.
get() {
    if have apt-get; then
        line="apt-get install --no-install-recommends $1"
        if [ "$(id -u)" = 0 ]; then echo "$line"; elif have sudo; then echo "sudo $line"; else echo "su -c '$line'"; fi
    elif [ "$(uname -s)" = Darwin ]; then
        echo "brew install $2"
    else
        echo "install $1 with your system's package manager"
    fi
}

# row STATE NAME FOUND REMARK [FIX]
row() {
    case $1 in ok) colour=$green ;; note) colour=$yellow ;; *) colour=$red sick=1 ;; esac
    if [ "$only" = tools ] && [ "$1" = ok ]; then return; fi
    printf '  %s%-8s%s %-18s %-9s %s\n' "$colour" "$1" "$plain" "$2" "$3" "$4"
    if [ -n "${5:-}" ]; then printf '           %sto mend it:%s %s\n' "$bold" "$plain" "$5"; fi
}

# at_least 10.0.2 7.2: is the first version not older than the second? (major.minor)
at_least() {
    [ "$(printf '%s.0' "$1" | cut -d. -f1)" -gt "${2%%.*}" ] && return
    [ "$(printf '%s.0' "$1" | cut -d. -f1)" -eq "${2%%.*}" ] &&
        [ "$(printf '%s.0' "$1" | cut -d. -f2)" -ge "${2#*.}" ]
}

# The versions that we have run all tests with, as cases of the shell. Others may do as well: nobody
# has tried them here.
known_good() {
    case $1:$2 in
    qemu-system-arm:7.2.* | qemu-system-arm:10.0.*) echo 7.2, 10.0 ;;
    arm-none-eabi-gcc:12.2.*) echo 12.2 ;;
    bwrap:0.8.*) echo 0.8 ;;
    *) return 1 ;;
    esac
}

number() { sed -n '1s/[^0-9]*\([0-9][0-9]*\.[0-9][0-9.]*\).*/\1/p'; }

# tool NAME OLDEST KNOWN-GOOD FIX VERSION-COMMAND…
tool() {
    name=$1 oldest=$2 good=$3 fix=$4
    shift 4
    if ! have "$name"; then
        row missing "$name" - "needed: $oldest or newer; known good: $good" "$fix"
        return
    fi
    version=$("$@" 2>/dev/null | number)
    if [ -z "$version" ]; then
        row broken "$name" '?' "it is there but does not run: $*" "$fix"
    elif at_least "$version" "$oldest"; then
        if known_good "$name" "$version" >/dev/null; then
            row ok "$name" "$version" "known good; needed: $oldest or newer"
        else
            row ok "$name" "$version" "should do; known good: $good"
        fi
    else
        row 'too old' "$name" "$version" "needed: $oldest or newer; known good: $good" "a newer release of your system, or a newer $name first in PATH"
    fi
}

if [ "$only" != tools ]; then printf '%swakelab doctor%s\n' "$bold" "$plain"; fi

tool qemu-system-arm 7.2 "7.2, 10.0" "$(get qemu-system-arm qemu)" qemu-system-arm --version
tool arm-none-eabi-gcc 10.0 12.2 "$(get gcc-arm-none-eabi arm-none-eabi-gcc)" arm-none-eabi-gcc -dumpfullversion
if [ "$(uname -s)" = Linux ]; then
    tool bwrap 0.8 0.8 "$(get bubblewrap '')" bwrap --version
fi
if [ "$only" = tools ]; then exit "$sick"; fi

if have make; then row ok make "$(make --version | number)" ''; else
    row missing make - 'every task is a target of the Makefile' "$(get make make)"
fi

python=$(sh grader/setup.sh python 2>/dev/null)
if [ -n "$python" ]; then
    row ok python "$("$python" --version 2>&1 | number)" "needed: 3.11 or newer; $python"
elif have python3 && ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    row 'too old' python3 "$(python3 --version 2>&1 | number)" 'needed: 3.11 or newer, with its venv module' \
        "$(get 'python3.12 python3.12-venv' python@3.12)"
else
    row missing python3 - 'needed: 3.11 or newer, with its venv module' "$(get 'python3 python3-venv' python@3.12)"
fi

if [ ! -f .venv/ready ]; then
    row missing .venv - 'the Python packages' 'make setup'
elif ! .venv/bin/python -c 'from importlib.util import find_spec as there
import sys
sys.exit(not all(map(there, ["pytest", "wakelab", "wakebench"])))' 2>/dev/null; then
    row broken .venv - 'its Python does not run, or packages are gone' 'rm -r .venv && make setup'
elif [ "$(sed -n 2p .venv/ready)" != "lock $(cksum <requirements.lock)" ]; then
    row 'too old' .venv - 'requirements.lock has changed since' 'make setup'
else
    row ok .venv - 'matches requirements.lock'
fi

# optional NAMES REMARK DEBIAN HOMEBREW: one of the programs is enough; the packages to get one by.
optional() {
    for each in $1; do
        if have "$each"; then row ok "$each" - "$2"; return; fi
    done
    row note "${1%% *}" - "missing; $2"
    debian="$debian $3" homebrew="$homebrew $4"
}

printf '%sonly for some commands%s\n' "$bold" "$plain"
debian='' homebrew=''
optional 'gdb-multiarch arm-none-eabi-gdb' 'make debug' gdb-multiarch arm-none-eabi-gdb
optional 'chromium chromium-browser google-chrome firefox' 'make run, make test' chromium chromium
optional 'clangd clangd-19 clangd-16 clangd-14' 'your editor, if it uses clangd' clangd llvm
optional 'gtkwave pulseview' 'looks at make trace FORMAT=vcd' gtkwave gtkwave
optional gcc 'make test' 'gcc libc6-dev' gcc
if [ -n "$debian" ]; then printf '           %sto get them:%s %s\n' "$bold" "$plain" "$(get "${debian# }" "${homebrew# }")"; fi
if [ -x .cache/qemu-10/bin/qemu-system-arm ]; then
    row ok 'QEMU 10' "$(.cache/qemu-10/bin/qemu-system-arm --version | number)" 'only for make test, beside the system'\''s'
fi

# A few attacks, tried on this machine: does the sandbox hold here? A line for each: its name, and
# what it achieved.
if [ "$sick" = 0 ] && [ "$(uname -s)" = Linux ]; then
    printf '%sdoes the sandbox hold here?%s\n' "$bold" "$plain"
    tried=$(.venv/bin/python -P -m wakelab.attacks 2>&1)
    status=$?
    if [ "$status" -gt 1 ]; then
        row broken sandbox - 'attacks on this machine could not be tried:' docs/instructors/security.md
        printf '%s\n' "$tried"
    else
        IFS='
'
        for line in $tried; do
            achieved=${line#*	}
            if [ -z "$achieved" ]; then row ok "${line%%	*}" - 'an attack: nothing happened'; else
                row broken "${line%%	*}" - "an attack: $achieved" docs/instructors/security.md
            fi
        done
        unset IFS
    fi
fi

if [ "$sick" = 0 ]; then printf 'Nothing is missing.\n'; else
    printf 'Mend the lines above, or let %smake setup%s try.\n' "$bold" "$plain"
fi
exit "$sick"

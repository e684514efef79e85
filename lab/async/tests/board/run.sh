#!/bin/sh
# run.sh IMAGE EXPECTED: runs the image, and passes if every line of EXPECTED is in what it prints and no line says "not ok".
# Time is instructions (-icount, 64 ns each), so that what a tick interrupts does not depend on the host.
# A crash ends in a sleep, not in an exit; so the run is ended as soon as its last expected line is there.
set -eu
image=$1
expected=$2
log=${image%.elf}.log
: >"$log"

qemu-system-arm -M lm3s6965evb -icount shift=6,sleep=off -nographic -nodefaults -serial none -monitor none \
    -semihosting-config enable=on,target=native -kernel "$image" </dev/null >"$log" 2>&1 &
qemu=$!
trap 'kill "$qemu" 2>/dev/null || true' EXIT

last=$(tail -n 1 "$expected")
tries=0
while kill -0 "$qemu" 2>/dev/null && ! grep -qF -e "$last" "$log" && [ "$tries" -lt 1200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done

failed=0
while IFS= read -r line; do
    grep -qF -e "$line" "$log" || { echo "# missing: $line"; failed=1; }
done <"$expected"
if grep -q '^not ok' "$log"; then
    failed=1
fi

name=$(basename "$image" .elf)
if [ "$failed" -ne 0 ]; then
    sed 's/^/#   /' "$log"
    echo "not ok - board: $name"
    exit 1
fi
echo "ok - board: $name ($(grep -c '^ok' "$log" || true) checks)"

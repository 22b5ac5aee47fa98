#!/bin/bash
# planted.sh N SCRIPT ARGUMENT... - a test that shall find something out: SCRIPT with $LEATD being one with planted bug N.
# Only the files that mention the bug are compiled anew.
B=${B:-build}
bug=$1 dir=$B-bug$1
shift
unset MAKEFLAGS MAKEOVERRIDES MFLAGS
rm -rf "$dir" && mkdir -p "$dir"
for room in broker storage client dpdk-port; do cp -al "$B/$room" "$dir/"; done
find "$dir" -name '*.d' -delete
for f in $(grep -lE "LEAT_BUG [!=]= $bug\$" broker/*/*.c storage/*.c); do rm -f "$dir/${f%.c}.o"; done
if ! make --no-print-directory B="$dir" BUG="$bug" "$dir/leatd" >"$dir/log" 2>&1; then
    tail -n 5 "$dir/log"
    echo "0 passed, 1 failed"
    exit 1
fi
B=$B LEATD=$dir/leatd bash "$@"
rc=$?
rm -rf "$dir"
exit $rc

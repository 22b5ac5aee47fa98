#!/bin/bash
# test_powercut_bug.sh - the power-cut test can fail: a broker with planted bug 1, which answers before its disk does, is
# found out by it. Only the files that mention the bug are compiled anew.
B=${B:-build}
dir=$B-bug1
unset MAKEFLAGS MAKEOVERRIDES MFLAGS
rm -rf "$dir" && mkdir -p "$dir"
for room in broker storage client dpdk-port; do cp -al "$B/$room" "$dir/"; done
find "$dir" -name '*.d' -delete
for f in $(grep -lE 'LEAT_BUG [!=]= 1$' broker/*/*.c storage/*.c); do rm -f "$dir/${f%.c}.o"; done
if ! make --no-print-directory B="$dir" BUG=1 "$dir/leatd" >"$dir/log" 2>&1; then
    tail -n 5 "$dir/log"
    echo "0 passed, 1 failed"
    exit 1
fi
B=$B bash tests/e2e/test_powercut.sh --bug --cycles 6
rc=$?
rm -rf "$dir"
exit $rc

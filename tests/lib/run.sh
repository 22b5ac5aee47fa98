#!/bin/sh
# run.sh PROGRAM... - runs each test program, adds up the "N passed, N failed" lines, shows the output of the failing ones.
passed=0 failed=0 skipped=0
for program in "$@"; do
    out=$(timeout "${TEST_TIMEOUT:-600}" "$program" 2>&1)
    rc=$?
    line=$(printf '%s\n' "$out" | grep -E '^[0-9]+ passed, [0-9]+ failed' | tail -n 1)
    p=$(printf '%s\n' "$line" | sed -n 's/^\([0-9]*\) passed.*/\1/p')
    f=$(printf '%s\n' "$line" | sed -n 's/.* \([0-9]*\) failed.*/\1/p')
    s=$(printf '%s\n' "$line" | sed -n 's/.* \([0-9]*\) skipped.*/\1/p')
    if [ -z "$line" ]; then p=0 f=1; fi
    if [ "$rc" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + ${s:-0}))
    if [ "$f" -ne 0 ]; then
        printf '%s\n' "$out" | tail -n 60
        echo "FAILED: $program (exit $rc)"
    else
        echo "$(basename "$program"): $line"
        printf '%s\n' "$out" | grep -E '^(SKIPPED|\| )' || :
    fi
done
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]

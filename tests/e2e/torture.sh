#!/bin/bash
# torture.sh - the long runs of the tests on the real binaries, one after the other; built and started by `make torture`.
#
# Each result is a line of build/torture.txt: date, commit, name, seconds, result. A run that has passed on this very commit
# is not repeated, so that an interrupted torture goes on where it was; TORTURE="kill_1 soak" names some runs to do anyway.
B=${B:-build}
results=$B/torture.txt
commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
passed=0 failed=0
touch "$results"

run() { # NAME SECONDS COMMAND...
    local name=$1 patience=$2 start=$SECONDS out rc
    shift 2
    if [ -n "$TORTURE" ]; then
        [[ " $TORTURE " == *" $name "* ]] || return
    elif [[ $commit != *-dirty ]] && grep -q " $commit $name .*: passed" "$results"; then
        echo "$name: passed before, on this commit"
        passed=$((passed + 1))
        return
    fi
    out=$(timeout "$patience" "$@" 2>&1)
    rc=$?
    if [ $rc = 0 ]; then passed=$((passed + 1)) verdict=passed; else failed=$((failed + 1)) verdict=FAILED; fi
    printf '%s %s %s %d s: %s: %s\n' "$(date -u +%FT%TZ)" "$commit" "$name" $((SECONDS - start)) "$verdict" \
        "$(printf '%s\n' "$out" | grep -vE '^(kept|leatd)' | tail -n 3 | tr '\n' ' ')" | tee -a "$results"
    [ $rc = 0 ] || printf '%s\n' "$out" | tail -n 60
}

# Pieces, so that an interrupted torture loses little: a thousand kills, five hundred power cuts, a thousand rots.
for piece in 1 2 3 4 5; do
    run kill_$piece 1800 bash tests/e2e/test_kill.sh --cycles 200
    run powercut_$piece 1800 bash tests/e2e/test_powercut.sh --cycles 100
    run rot_$piece 1800 bash tests/e2e/test_rot.sh --trials 200
done
run pause 1800 bash tests/e2e/test_pause.sh --cycles 300
run slow 1800 bash tests/e2e/test_slow.sh --cycles 200
run reserve 7200 bash tests/e2e/test_reserve.sh --full
run rot_bug 900 bash tests/e2e/planted.sh 5 tests/e2e/test_rot.sh --bug --trials 68
run powercut_bug 600 bash tests/e2e/test_powercut_bug.sh
run job 1200 bash tests/e2e/test_job.sh --full
run backlog 3600 bash tests/e2e/test_backlog.sh --full
run lives 1200 bash tests/e2e/test_lives.sh --full
run clients 3600 bash tests/e2e/test_clients.sh --kills 2000
run clean 7200 bash tests/e2e/test_clean.sh --full
run enospc 600 bash tests/e2e/test_enospc.sh
run seeds 7200 make --no-print-directory sim SEEDS=1..100000
run soak 4200 bash tests/e2e/test_soak.sh --seconds 3600
run fuzz 7200 make --no-print-directory fuzz SECONDS=300
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/bin/bash
# exhaust.sh [SEED...] - every crash point of some small runs, and of each recovery behind it.
B=${B:-build}
seeds=("$@")
[ ${#seeds[@]} -gt 0 ] || seeds=(2 3)
passed=0 failed=0
for seed in "${seeds[@]}"; do
    out=$("$B/leat-sim" --exhaust "$seed" --jobs 2 2>&1)
    sum=($(printf '%s\n' "$out" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' | tail -n 1))
    passed=$((passed + ${sum[0]:-0})) failed=$((failed + ${sum[1]:-1}))
    [ "${sum[1]:-1}" -eq 0 ] || printf '%s\n' "$out" | tail -n 10
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

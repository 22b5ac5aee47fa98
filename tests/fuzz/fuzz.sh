#!/bin/bash
# fuzz.sh - runs the fuzz targets on fresh seeds and the corpora of the repository; built by `make fuzz`.
#
#   F=DIR            where the targets stand (build-fuzz)
#   FUZZ_TARGET=...  some targets instead of all
#   FUZZ_SECONDS=N   of each target (3)
#
# What a run finds is kept in F/found/TARGET for the next one; an input that breaks a promise is in F/crash. Prints
# "N passed, N failed".
F=${F:-build-fuzz}
seconds=${FUZZ_SECONDS:-3}
targets=${FUZZ_TARGET:-$(cd "$F" && ls fuzz_* | grep -v '\.' | sed 's/^fuzz_//')}
passed=0 failed=0
rm -rf "$F/fresh"
mkdir -p "$F/fresh" "$F/crash"
"$F/seeds" "$F/fresh" || exit 1
for target in $targets; do
    corpora="$F/fresh/$target"
    [ -d "tests/fuzz/corpus/$target" ] && corpora="$corpora tests/fuzz/corpus/$target"
    mkdir -p "$F/found/$target" "$F/fresh/$target"
    "$F/seeds" --words "$target" >"$F/$target.dict" || exit 1
    # Every known input is run once; the rest of the time goes to new ones.
    if out=$(timeout $((seconds + 60)) "$F/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -max_len=16384 -dict="$F/$target.dict" \
        -artifact_prefix="$F/crash/$target-" -print_final_stats=1 "$F/found/$target" $corpora 2>&1); then
        passed=$((passed + 1))
        echo "fuzz_$target: $(printf '%s\n' "$out" | sed -n 's/^stat::number_of_executed_units: *//p') inputs," \
            "$(printf '%s\n' "$out" | grep -oE 'cov: [0-9]+' | tail -n 1)"
    else
        failed=$((failed + 1))
        printf '%s\n' "$out" | tail -n 40
        echo "FAILED: fuzz_$target; again with: $F/fuzz_$target $(ls -t "$F/crash/$target-"* 2>/dev/null | head -n 1)"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

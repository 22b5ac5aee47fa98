#!/bin/bash
# make bench in small: rows have their shape, messages of class memory are found after SIGTERM and a start.
B=${B:-build}
passed=0 failed=0
check() { # sentence, command...
    if "${@:2}"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: make bench: $1"; fi
}
if [ "$(nproc)" -lt 2 ]; then
    echo "SKIPPED: make bench: everything (needs two cores)"
    echo "0 passed, 0 failed, 4 skipped"
    exit
fi
check "goals are measured beside their limits" \
    timeout 120 python3 perf/bench.py --rounds 2 --seconds 0.1 L1 T2 L5 D1 >"$B/bench.out"
rows() {
    python3 - "$B/bench.json" <<'PY'
import json, sys
rows = json.load(open(sys.argv[1]))
keys = ["goal", "what", "ours", "limit", "ratio", "better", "floor", "target", "stretch", "unit", "samples"]
assert [r["goal"] for r in rows] == ["L1", "T2", "L5", "D1"], rows
for r in rows:
    assert list(r) == keys, r
    assert r["better"] in ("lower", "higher") and r["ours"] > 0 and r["limit"] > 0, r
    ratios = sorted(s["ours"] / s["limit"] for s in r["samples"])
    assert len(ratios) == 2 and ratios[0] <= r["ratio"] <= ratios[1], r
    assert (r["floor"] > r["target"] > r["stretch"]) == (r["better"] == "lower"), r
PY
}
check "bench.json has a row per goal" rows
again() { [ "$(grep -c 'acknowledged messages were found after SIGTERM and a start' "$B/bench.out")" = 2 ]; }
check "what was acknowledged in memory is found again" again
unknown() {
    python3 perf/bench.py X9 >"$B/bench.out" 2>&1
    [ $? = 2 ] && grep -q "X9 is not one of L1" "$B/bench.out"
}
check "a goal that does not exist is named" unknown
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]

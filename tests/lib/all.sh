#!/bin/bash
# all.sh - every test of the project; the last line is the sum.
B=${B:-build}
export B
set -- $(ls "$B"/test_* 2>/dev/null | grep -v '\.') tests/sim/run_sim.sh tests/sim/stories.sh tests/sim/exhaust.sh \
    tests/sim/blind.sh tests/sim/planted.sh tests/tidy/tidy.sh tests/lib/asan.sh tests/sim/asan_sim.sh tests/lib/clang.sh \
    tests/lib/tsan.sh tests/fuzz/test_fuzz.sh
for e in tests/e2e/test_*.sh; do [ -e "$e" ] && set -- "$@" "$e"; done
sh tests/lib/run.sh "$@"

#!/bin/bash
# cover.sh - how many lines of storage and of the queue engine the tests reach; fails below 90 % of either.
#
# Unit tests and seeds of the simulator, built with --coverage. Each file's share and the lines that nothing reached are
# in $B/cover.txt; the last line here is "N passed, N failed".
B=${B:-build-cover}
SEEDS=${SEEDS:-1..300}
passed=0 failed=0
find "$B" -name '*.gcda' -delete
for t in "$B"/test_*; do
    [ -x "$t" ] && "$t" >"$B/cover.out" 2>&1 || { case $t in *.d | *.o) ;; *) echo "cover.sh: $t failed"; tail -n 5 "$B/cover.out"; failed=$((failed + 1)) ;; esac; }
done
"$B/leat-sim" --seeds "$SEEDS" >"$B/cover.out" 2>&1 || { echo "cover.sh: the simulator failed"; tail -n 5 "$B/cover.out"; failed=$((failed + 1)); }
: >"$B/cover.txt"
for room in storage broker/queue; do
    gcovr --root . --object-directory "$B" --filter "$room/[^/]*\\.[ch]\$" --txt --print-summary "$B" >"$B/cover.room" 2>"$B/cover.err" ||
        { cat "$B/cover.err"; failed=$((failed + 1)); continue; }
    cat "$B/cover.room" >>"$B/cover.txt"
    share=$(sed -n 's/^lines: \([0-9]*\)\..*/\1/p' "$B/cover.room")
    echo "$room: $(sed -n 's/^lines: //p' "$B/cover.room")"
    if [ "${share:-0}" -ge 90 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

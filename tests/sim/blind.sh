#!/bin/sh
# blind.sh - a set of seeds that sees nothing must fail, however green: without faults no crash meets writes in flight and
# no outcome is unknown, and one seed does not reach every mark.
B=${B:-build}
out=$("$B/leat-sim" --seeds 1..4 --fault none --jobs 1 --marks tests/sim/marks.txt)
if [ $? -eq 0 ] || ! printf '%s\n' "$out" | grep -q '^blind: no crash met writes in flight' ||
    ! printf '%s\n' "$out" | grep -q '^no seed hit the mark torn_tail'; then
    printf '%s\n' "$out"
    echo "0 passed, 1 failed"
    exit 1
fi
echo "1 passed, 0 failed"

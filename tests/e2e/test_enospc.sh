#!/bin/bash
# test_enospc.sh - a disk that is full: puts are refused with a word, takes and acks go on, and the space comes back.
#
# The data directory is on an ext4 of 64 MiB on a loop file, so small that the file system is full before disk_max is
# reached. The broker is also killed while it is full: it must start again on what it has, and have every message.
. tests/e2e/lib.sh enospc
loop_disk full_disk 64M -m 0
OPTIONS=(--data "$T/disk/data" "${SMALL[@]}" --segment-size 2M --block-max 512K --disk-max 1G)
export LEAT_ADDRESS

lines() { awk -v from="$1" -v n="$2" 'BEGIN { line = sprintf("%8000s", ""); for (i = 0; i < n; i++) print from + i, line }'; }
counter() { "$B/leat" queue stat jobs --json | sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" | head -n 1; }
put() { # FROM N: false when the disk is full
    lines "$1" "$2" | timeout 60 "$B/leat" put jobs --lines --batch 10 --timeout 2s >"$T/put" 2>&1
}

is "the broker starts on a small disk" broker "${OPTIONS[@]}" || finish
LEAT_ADDRESS=$address
is "the queue is made" "$B/leat" queue create jobs --lease 60s
put 1 20000
is "puts are refused in the end" [ $? = 1 ]
is "and the reason is named" grep -q '^leat: no_space: ' "$T/put"
full=$(counter ready)
is "after a good part of the disk was used ($full messages of 8 KB)" [ "${full:-0}" -ge 1500 ]
is "the broker lives" [ -n "$(counter puts)" ]
is "a single put is refused, too" [ "$("$B/leat" put --timeout 1s jobs "$(lines 0 1)" 2>&1 | cut -d: -f1,2)" = "leat: no_space" ]

broker_ends KILL
is "it starts again while the disk is full" broker "${OPTIONS[@]}" || finish
is "and has every message" [ "$(counter ready)" = "$full" ]
is "a message can be taken" "$B/leat" take jobs --json >"$T/taken"
receipt=$(sed -n 's/.*"receipt": *"\([^"]*\)".*/\1/p' "$T/taken" | head -n 1)
is "and finished" "$B/leat" ack jobs "$receipt"
is "everything can be taken and finished" timeout 120 "$B/leat" work --drain --batch 100 jobs -- cat >"$T/out" 2>"$T/work"
is "and everything came" [ "$(wc -l <"$T/out")" = $((full - 1)) ]
is "as it was put" [ "$(awk 'length($0) < 8002 || $1 < 1 || seen[$1]++' "$T/out" | wc -l)" = 0 ]

again() { until put 30001 500; do [ $SECONDS -lt $end ] || return 1; done; }
end=$((SECONDS + 60))
is "then the space comes back" again
is "and there is as much of it as before" put 40001 $((full - 500 - full / 4))
is "all of that can be worked off" timeout 120 "$B/leat" work --drain --batch 100 jobs -- cat >"$T/out" 2>"$T/work"
is "and has come" [ "$(awk '{ print $1 }' "$T/out" | sort -u | wc -l)" = $((full - full / 4)) ]
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish

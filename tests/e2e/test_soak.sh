#!/bin/bash
# test_soak.sh [--seconds N] - a long time at half load: the broker's counters are the oracle's at the end (prog_soak), and
# its memory, descriptors and disk are at the end what they were at half time, when all tables have been written once.
#
# What this machine can do is measured first, for a few seconds. Sessions and connections come and go meanwhile: every tenth
# of the time somebody asks for the counters over TCP and HTTP; once the broker stands still for longer than a lease.
# `make soak` runs it for an hour.
seconds=40
[ "$1" = --seconds ] && seconds=$2
. tests/e2e/lib.sh soak
export LEAT_ADDRESS
OPTIONS=(--data "$T/data" "${SMALL[@]}" --http 127.0.0.1:0 --leases-max 16384 --ready-max 50000 --queues-max 16 --sessions-max 64)
memory() { awk '/^VmRSS/ { print $2 }' /proc/"$pid"/status; }
descriptors() { ls /proc/"$pid"/fd | wc -l; }
disk() { cat "$T"/data/* 2>/dev/null | wc -c; }
ask() { # connections and sessions that come and go
    "$B/leat" queue list --json >/dev/null && curl -s -m 10 "$(sed -n 's/^leatd: http //p' "$T/broker.err")/metrics" >/dev/null
}

is "the broker starts" broker "${OPTIONS[@]}" || finish
LEAT_ADDRESS=$address
is "its speed can be measured" "$B/prog_soak" "$address" probe 4 0 >"$T/probe" 2>&1 || { cat "$T/probe"; finish; }
rate=$(($(sed -n 's/^put [0-9]*, \([0-9]*\) a second/\1/p' "$T/probe") / 2))
background "$B/prog_soak" "$address" jobs "$seconds" "$rate" >"$T/run" 2>&1
clients=$!
: >"$T/samples"
for tenth in 1 2 3 4 5 6 7 8 9 10; do
    until_lines "$T/run" $tenth $((seconds / 5 + 60)) || break
    is "others are served" ask
    [ $tenth = 2 ] && is "the broker stands still for 4 s" stand_still "$pid" 4
    echo "$tenth $(memory) $(descriptors) $(disk)" >>"$T/samples"
done
is "$seconds s at $rate messages a second end with equal counters" wait $clients || tail -n 3 "$T/run"
grep -E '^(oracle|slowest|put)' "$T/run"
read -r m0 d0 b0 <<<"$(sed -n 's/^5 //p' "$T/samples")"
read -r m1 d1 b1 <<<"$(sed -n 's/^10 //p' "$T/samples")"
echo "soak: memory $m0 -> $m1 KiB, descriptors $d0 -> $d1, disk $((b0 >> 10)) -> $((b1 >> 10)) KiB"
is "memory is flat" [ "${m1:-0}" -gt 0 -a "${m1:-0}" -le $((m0 + m0 / 50 + 1024)) ]
is "descriptors are flat" [ "${d1:-0}" -gt 0 -a "${d1:-0}" -le $((d0 + 4)) ]
is "the disk is flat" [ "${b1:-0}" -gt 0 -a "${b1:-0}" -le $((b0 + (12 << 20))) ]
reached=$(sed -n 's/^put [0-9]*, \([0-9]*\) a second/\1/p' "$T/run")
is "a good part of half load was there all the time" [ "${reached:-0}" -ge $((rate / 2)) ]
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish

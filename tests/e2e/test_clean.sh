#!/bin/bash
# test_clean.sh [--full] - messages that wait for long among a hundred times as much that passes through: the disk holds
# what lives, not the segments that it came in.
#
# Each round puts a few messages with a long delay and many that are worked off at once, so that every segment of the log
# keeps a few survivors; in the middle the broker is killed, twice. 64 MB live among 2 GB in segments of 4 MiB; --full:
# 1 GB among 100 GB in segments of 64 MiB. What the directory holds (du) is compared in every round with the promise:
# twice what lives, and a constant number of segments (storage/DESIGN.md).
rounds=512 alive=32 passing=64 segment=4 delay=60
[ "$1" = --full ] && rounds=2560 alive=100 passing=640 segment=64 delay=3600
. tests/e2e/lib.sh clean
constant=$((16 * segment + 8))
OPTIONS=(--data "$T/data" "${SMALL[@]}" --segment-size ${segment}M --disk-max 8G --http 127.0.0.1:0 --sessions-max 64)
export LEAT_ADDRESS

lines() { # FROM N BYTES
    awk -v from="$1" -v n="$2" -v size="$3" 'BEGIN {
        for (line = "."; length(line) < size;) line = line line
        line = substr(line, 1, size - 11)
        for (i = from; i < from + n; i++) print sprintf("%010d", i), line }'
}
metric() { curl -s "$metrics" | sed -n "s/^$1 //p"; }
counter() { "$B/leat" queue stat "$1" --json | sed -n "s/.*\"$2\": *\([0-9]*\).*/\1/p" | head -n 1; }
begin() {
    broker "${OPTIONS[@]}" || return 1
    LEAT_ADDRESS=$address
    metrics=$(sed -n 's/^leatd: http //p' "$T/broker.err" | tail -n 1)/metrics
}

size=4096 most=0 over='' left=0
used=0
round() { # NUMBER
    local wait=$((delay - SECONDS)) allowed
    [ $wait -lt 1 ] && wait=1
    lines $(($1 * alive)) $alive $size | "$B/leat" put later --lines --delay ${wait}s >/dev/null || return 1
    lines $(($1 * passing)) $passing 65000 | "$B/leat" put now --lines >/dev/null || return 1
    [ "$("$B/leat" work --drain --batch 32 now -- cat | wc -l)" = "$passing" ] || return 1
    used=$(du -sm "$T/data" 2>/dev/null | cut -f 1)
    allowed=$((2 * (($1 + 1) * alive * (size + 128) >> 20) + constant))
    [ "$used" -gt "$most" ] && most=$used
    [ "$used" -gt $allowed ] && [ -z "$over" ] && over="after round $1: $used MiB, $allowed are allowed"
    return 0
}

is "the broker starts" begin || finish
is "queues are made" "$B/leat" queue create later && "$B/leat" queue create now
for i in $(seq 0 $((rounds - 1))); do
    round "$i" || break
    left=$((i + 1))
    if [ "$i" = $((rounds / 2)) ] || [ "$i" = $((rounds * 3 / 4)) ]; then
        cleaned=$(metric leat_cleanings_total)
        is "the cleaner has worked by round $i" [ "${cleaned:-0}" -gt 3 ]
        broker_ends KILL
        is "the broker starts again after kill -9" begin || finish
    fi
done
is "$rounds rounds went through" [ $left = $rounds ] || finish
is "disk held at most twice what lives and a constant" [ -z "$over" ] || echo "$over"
live=$((rounds * alive * size >> 20))
echo "$live MiB live among $((rounds * passing * 65000 >> 20)) MiB that passed; most on disk $most MiB, at the end $used MiB"
echo "keep segments: $(metric leat_keep_segments) of $(metric leat_log_segments); copied $(($(metric leat_cleaned_bytes_total) >> 20)) MiB in $(metric leat_cleanings_total) runs since the last start"
is "nothing was given up" [ "$(metric leat_cleanings_given_up_total)" = 0 ]
is "all that live are counted" [ "$(metric leat_live_messages)" = $((rounds * alive)) ]
timeout 7200 "$B/leat" work --drain --batch 200 -j 2 later -- awk '{ print $1, length($0) }' >"$T/out" 2>"$T/work"
is "all are delivered" [ "$(sort -u "$T/out" | wc -l)" = $((rounds * alive)) ] || tail -n 3 "$T/work"
is "as they were put" [ "$(awk '$2 != size || $1 >= n' size=$size n=$((rounds * alive)) "$T/out" | wc -l)" = 0 ] || head -n 3 "$T/out"
is "and finished" [ "$(counter later acks)" = $((rounds * alive)) ]
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish

#!/bin/bash
# test_lives.sh [--full] - what is over leaves nothing behind: after many full lives, with a thousand messages left, a
# restart reads no more than the newest checkpoint, the log behind it and where that could go on, and the disk holds no
# more than four segments and what lives.
#
# 300 000 lives with segments of 16 MiB; ten million and the default segments of 64 MiB with --full.
lives=300000 segment=16
[ "$1" = --full ] && lives=10000000 segment=64
. tests/e2e/lib.sh lives
export LEAT_ADDRESS
OPTIONS=(--data "$T/data" "${SMALL[@]}" --segment-size ${segment}M --disk-max 4G --hot-max 64M --http 127.0.0.1:0)
counter() { "$B/leat" queue stat jobs --json | sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" | head -n 1; }
bytes_of() { cat "$@" 2>/dev/null | wc -c; }

is "the broker starts" broker "${OPTIONS[@]}" || finish
LEAT_ADDRESS=$address
is "the queue is made" "$B/leat" queue create jobs
done_lives=0
until [ "${done_lives:-0}" -ge $lives ]; do
    "$B/leat-bench" -w lives --depth 32 --batch 100 --duration 5 --queue jobs >"$T/bench" 2>&1 || { cat "$T/bench"; break; }
    done_lives=$(counter acks)
done
is "$lives full lives were lived (${done_lives:-0})" [ "${done_lives:-0}" -ge $lives ] || finish
is "and a thousand more messages wait" bash -c "seq 1 1000 | '$B/leat' put jobs --lines"
is "which are all" [ "$(counter ready)" = 1000 ]

live=$((1000 * 1024))
most=$(((4 * segment << 20) + live))
fits() { used=$(bytes_of "$T"/data/log-*) && [ "$used" -le $most ]; }
until_true 30 fits # a checkpoint may be on its way, and spares of the rush are given back one after the other
echo "disk: $((used >> 20)) MiB of log after $done_lives lives"
is "the disk holds at most four segments and what lives" [ "$used" -le "$most" ]

broker_ends KILL
left=$("$B/leat" fsck "$T/data" | awk -v all=$((segment << 10)) '/^log-.*: blocks/ { sum += rest; rest = all - $(NF - 1) } END { print sum + 0 }')
is "it starts again after kill -9" broker "${OPTIONS[@]}" || finish
read=$(awk '/^read_bytes/ { print $2 }' /proc/"$pid"/io)
read -r log checkpoint <<<"$(sed -n 's/.*log: start 2, .* facts in \([0-9]*\) KiB .* checkpoint of \([0-9]*\) KiB.*/\1 \2/p' "$T/broker.err")"
echo "restart: $((read >> 10)) KiB read; the checkpoint has ${checkpoint:-no} KiB, the log behind it ${log:-no}, $left were left at ends of segments"
# Behind the last block others are looked for as far as nine of 1 MiB could reach (eight in flight and a rotten one), and
# reading ahead there costs 256 KiB. Where the log has gone on to the next segment, what it left at the end of the last
# one (fsck says how much) is read ahead, too. Beside that there are the manifest and the first pages of segments.
is "a restart reads the checkpoint and the log behind it" [ "$read" -ge $((checkpoint + log << 10)) ]
is "and no more than that, and where the log could go on" [ "$read" -le $((checkpoint + log + left + 9 * 1024 + 768 << 10)) ]
# A checkpoint is due when a segment's size has been written; while it is made, more comes.
is "the log behind a checkpoint stays short" [ "$log" -le $((2 * segment << 10)) ]
is "and has the thousand" [ "$(counter ready)" = 1000 ]
is "in their order" [ "$("$B/leat" take jobs -n 1000 --raw)" = "$(seq 1 1000)" ]
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish

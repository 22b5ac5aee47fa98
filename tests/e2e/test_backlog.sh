#!/bin/bash
# test_backlog.sh [--full] - more messages than memory: a broker that may use little memory holds a backlog of 4 KiB
# messages many times as large, delivers all of it, also after kill -9 and a restart, and says how much memory it used.
# Then many small ones, whose delivery order is looked at, and which must cost next to nothing while they wait.
#
# 60 000 messages under 192 MiB of address space that can be touched, and a million of 128 bytes; with --full a million
# under 1 GiB, and ten million. The bound is the memory controller's where it can be had (cgroup v1 or v2), else nothing
# but the figure is held against it.
messages=60000 limit=$((192 << 20)) disk=2G small=1000000
[ "$1" = --full ] && messages=1000000 limit=$((1024 << 20)) disk=12G small=10000000
. tests/e2e/lib.sh backlog
export LEAT_ADDRESS
OPTIONS=(--data "$T/data" "${SMALL[@]}" --segment-size 16M --disk-max "$disk" --memory-max 1G --ready-max 2000000 --leases-max 100000 --sessions-max 64)

# A group of processes that may not use more than the limit: its directory, or nothing.
group() {
    local d
    for d in /sys/fs/cgroup/memory /sys/fs/cgroup; do
        mkdir "$d/leat-backlog-$$" 2>/dev/null || continue
        d=$d/leat-backlog-$$
        for f in memory.limit_in_bytes memory.max; do
            [ -e "$d/$f" ] && echo "$limit" >"$d/$f" 2>/dev/null && echo "$d" && return
        done
        rmdir "$d"
    done
}
group=$(group)
if [ -n "$group" ]; then
    printf '#!/bin/sh\necho $$ >"%s/cgroup.procs" && exec "$@"\n' "$group" >"$T/limited"
    chmod +x "$T/limited"
    WRAP=$T/limited
    trap 'tidy_up; rmdir "$group" 2>/dev/null' EXIT
else
    skip backlog_limit "no memory controller: the figure is only printed and compared"
fi

memory() { awk '/^VmHWM/ { print int($2 / 1024) }' /proc/"$pid"/status; }
lines() { awk -v n="$messages" 'BEGIN { line = sprintf("%4085s", ""); for (i = 1; i <= n; i++) printf "%010d %s\n", i, line }'; }
counter() { "$B/leat" queue stat jobs --json | sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" | head -n 1; }
most=0
note() { local m; m=$(memory); [ "${m:-0}" -gt "$most" ] && most=$m; }

is "the broker starts" broker "${OPTIONS[@]}" || finish
LEAT_ADDRESS=$address
is "the queue is made" "$B/leat" queue create jobs
lines | timeout 1200 "$B/leat" put jobs --lines --timeout 60s >"$T/put" 2>&1
is "$messages messages of 4 KiB can be put" [ "$(counter ready)" = "$messages" ] || cat "$T/put"
note
echo "with all of them ready: $most MiB"
timeout 600 "$B/leat" take jobs -n 1 --lease 1s --json >"$T/first"
is "the first is the first" grep -q '"body":"0000000001 ' "$T/first"

start=$(date +%s%N)
broker_ends KILL
is "it starts again after kill -9" broker "${OPTIONS[@]}" || finish
echo "the restart took $((($(date +%s%N) - start) / 1000000)) ms"
timeout 1200 "$B/leat" work --drain --batch 200 jobs -- awk '{ print $1, length($0) }' >"$T/out" 2>"$T/work"
is "all are delivered" [ "$(sort -u "$T/out" | wc -l)" = "$messages" ] || tail -n 3 "$T/work"
is "as long as they were put" [ "$(awk '$2 != 4096 || $1 < 1 || $1 > n' n="$messages" "$T/out" | wc -l)" = 0 ]
is "and finished" [ "$(counter acks)" = "$messages" ]
note
echo "most memory of all: $most MiB of $((limit >> 20))"
is "in no more memory than it may use" [ "$most" -le $((limit >> 20)) ]
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]

# Small ones: each body is its number, to 128 bytes. They wait in runs of the log, 16 MiB of which are in memory.
numbers() { awk -v n="$small" 'BEGIN { for (i = 1; i <= n; i++) printf "%-128d\n", i }'; }
resident() { awk '/^VmRSS/ { print $2 }' /proc/"$pid"/status; }
OPTIONS[1]=$T/small
is "a second broker starts" broker "${OPTIONS[@]}" --ready-max "$small" || finish
LEAT_ADDRESS=$address
is "its queue is made" "$B/leat" queue create jobs
numbers | head -n $((small / 5)) | timeout 1200 "$B/leat" put jobs --lines --batch 1000 >"$T/put" 2>&1
before=$(resident)
numbers | tail -n +$((small / 5 + 1)) | timeout 1200 "$B/leat" put jobs --lines --batch 1000 >"$T/put" 2>&1
is "$small messages of 128 bytes can be put" [ "$(counter ready)" = "$small" ] || cat "$T/put"
more=$((($(resident) - before) * 1024))
echo "a message that waits took $(awk -v b=$more -v n=$((small * 4 / 5)) 'BEGIN { printf "%.2f", b / n }') bytes"
is "which cost less than 16 bytes each while they wait" [ $more -lt $((small * 4 / 5 * 16)) ]
start=$(date +%s%N)
broker_ends KILL
is "it starts again" broker "${OPTIONS[@]}" --ready-max "$small" || finish
echo "the restart took $((($(date +%s%N) - start) / 1000000)) ms"
is "and has all of them" [ "$(counter ready)" = "$small" ]
timeout 1200 "$B/leat" work --drain --batch 1000 -j 1 jobs -- cat >"$T/out" 2>"$T/work"
is "all are delivered, in the order in which they were put" \
    awk -v n="$small" '$1 != NR || length($0) != 128 { print "line " NR ": " $1; wrong = 1; exit } END { exit wrong || NR != n }' "$T/out"
is "and finished, each once" [ "$(counter acks)" = "$small" ]
broker_ends TERM
is "SIGTERM ends this one well, too" [ "$code" = 0 ]
finish

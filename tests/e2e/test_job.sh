#!/bin/bash
# test_job.sh [--full] - the main job: every line of a real text goes through the queue once, and the broker is killed with
# -9 three times on the way.
#
# `leat put --lines` fills the queue while four `leat work` processes drain it; a line's work is to say its number and
# itself in capitals. The result must be the same as that of the same command without a queue. Nothing is lost, nothing
# is put twice; what is worked on twice is counted, and each of these must be one whose worker was told that its lease
# had ended: leases that were not in the log when the broker died have.
# 20 000 lines, one command for each; with --full a million lines, one command for 500.
lines=20000 batch=1
[ "$1" = --full ] && lines=1000000 batch=500
. tests/e2e/lib.sh "job$batch"
export LC_ALL=C LEAT_ADDRESS
work=(awk '{ print toupper($0) }')

# The descriptions of all packages that this machine knows; where it has no lists, of those installed, over and over.
text() {
    { apt-cache dumpavail 2>/dev/null; while cat /var/lib/dpkg/status 2>/dev/null; do :; done; } | head -n "$lines" |
        awk '{ print NR "\t" $0 }'
}
text >"$T/text" 2>/dev/null
is "there is a text of $lines lines" [ "$(wc -l <"$T/text")" = "$lines" ] || finish
"${work[@]}" <"$T/text" | sort >"$T/expected"

OPTIONS=(--data "$T/data" "${SMALL[@]}" --body-max 512K --disk-max 2G)
is "the broker starts" broker "${OPTIONS[@]}" || finish
LEAT_ADDRESS=$address
is "the queue is made" "$B/leat" queue create jobs
workers=
for w in 1 2 3 4; do
    : >"$T/out.$w"
    background "$B/leat" work --batch $batch jobs -- "${work[@]}" >>"$T/out.$w" 2>>"$T/work.$w"
    workers="$workers $!"
done
background "$B/leat" put jobs --lines --timeout 120s <"$T/text" >"$T/put" 2>&1
put=$!
for kill in 1 2 3; do
    is "the work goes on before kill $kill" until_lines "$T/out.1" $((lines * kill / 20)) 200 || finish
    broker_ends KILL
    is "the broker is back after kill $kill" broker "${OPTIONS[@]}" || finish
done
is "every line was put" wait $put
is "the queue is drained" timeout 280 "$B/leat" work --drain --batch $batch jobs -- "${work[@]}" >"$T/out.5" 2>"$T/work.5"
for w in $workers; do kill -TERM "$w"; done
ended=0
for w in $workers; do wait "$w" && ended=$((ended + 1)); done
is "the workers end well, without having been started again" [ $ended = 4 ]

"$B/leat" queue stat jobs --json >"$T/stat"
counter() { sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" "$T/stat" | head -n 1; }
cat "$T"/out.? | sort >"$T/all"
sort -u "$T/all" >"$T/result"
twice=$(($(wc -l <"$T/all") - $(wc -l <"$T/result")))
told=$(cat "$T"/work.? | grep -c 'a lease had ended before its command did')
is "the result is that of the same work without a queue" cmp "$T/result" "$T/expected"
is "no line was put twice" [ "$(counter puts)" = "$lines" ]
is "every message was finished once" [ "$(counter acks)" = "$lines" ]
is "what was worked on twice ($twice) had lost its lease ($told times told)" [ $twice -le $((told * batch)) ]
is "at the kills, or because a lease ran out" [ $twice -le $((3 * 4 * batch + $(counter expiries))) ]
echo "$lines lines, $twice worked on twice; $(counter expiries) leases ran out"
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish

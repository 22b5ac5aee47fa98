#!/bin/bash
# test_job.sh [--full] - the main job: every line of a real text goes through the queue once, and the broker is killed with
# -9 three times on the way.
#
# What runs are the README's own lines: four `leat work` processes beside one `leat put --lines`, whose FILE is a pipe here
# that is filled in four parts; after the first one the queue runs empty. A line's work is to say its number and itself
# in capitals. The result must be the same as that of the same command without a queue. Nothing is lost, nothing is put
# twice; what is worked on twice is counted, and each of these must be one whose worker was told that its lease had
# ended: leases that were not in the log when the broker died have.
# 20 000 lines, one command for each; with --full a million lines, one command for 500.
lines=20000 batch=1 patience=280
[ "$1" = --full ] && lines=1000000 batch=500 patience=1000
. tests/e2e/lib.sh "job$batch"
export LC_ALL=C LEAT_ADDRESS
PATH=$(realpath "$B"):$PATH
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
D=$T/job
mkdir "$D"
mkfifo "$D/FILE" "$T/go"
for w in 1 2 3 4; do : >"$D/out.$w"; done
printf '#!/bin/sh\nexec awk %s\n' "'${work[1]}'" >"$D/job.sh" && chmod +x "$D/job.sh"
sed -n '/^<!-- job:/,/^<!-- \/job/s/^    //p' README.md | sed "s/work jobs --batch 500/work jobs --batch $batch/" >"$T/steps"
is "the README has the job" [ "$(grep -c -- "--batch" "$T/steps")" = 3 ]
echo 'for w in $workers; do wait "$w" || exit; done' >>"$T/steps"
feed() { # writes a part of the text whenever it is told to
    local part
    exec >"$D/FILE"
    for part in 1 2 3 4; do
        read -r _ <"$T/go"
        sed -n "$((lines * (part - 1) / 4 + 1)),$((lines * part / 4))p" "$T/text"
    done
}
next() { timeout 60 bash -c "echo >'$T/go'"; }
size() { wc -l <"$D/out.$1"; }
counter() { "$B/leat" queue stat jobs --json | sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" | head -n 1; }
ran_empty() { # LINES PUT
    local end=$((SECONDS + 120))
    until [ "$(counter puts) $(counter acks)" = "$1 $1" ]; do
        [ $SECONDS -ge $end ] && return 1
        read -r -t 0.02 <>"$T/.never" || :
    done
}
job() { cd "$D" && exec timeout -s KILL $patience bash -e ../steps; }
background job >"$T/put" 2>"$T/told"
job=$!
others="$others -$job" # timeout leads a group: the workers are in it
background feed
for kill in 1 2 3; do
    before=$(size 1)
    is "the pipe is filled further, part $kill" next || finish
    is "the work goes on before kill $kill" until_lines "$D/out.1" $((before + lines / 40)) 200 || finish
    broker_ends KILL
    is "the broker is back after kill $kill" broker "${OPTIONS[@]}" || finish
    [ $kill = 1 ] || continue
    is "the queue runs empty while more is to come" ran_empty $((lines / 4)) || finish
    is "for so long that a worker with --drain ends" timeout 60 "$B/leat" work jobs --drain -- false || finish
    for w in 1 2 3 4; do size $w; done >"$T/pause"
done
is "the pipe is filled to the end" next || finish
is "the job ends well, and each worker as well" wait $job
others=''
w=0 idle=0
while read -r before; do w=$((w + 1)) && [ "$(size $w)" -gt "$before" ] || idle=$((idle + 1)); done <"$T/pause"
is "every worker has gone on after the queue was empty" [ "$w $idle" = "4 0" ]

cat "$D"/out.? | sort >"$T/all"
sort -u "$T/all" >"$T/result"
twice=$(($(wc -l <"$T/all") - $(wc -l <"$T/result")))
told=$(grep -c 'a lease had ended before its command did' "$T/told")
is "the result is that of the same work without a queue" cmp "$T/result" "$T/expected"
is "no line was put twice" [ "$(counter puts)" = "$lines" ]
is "every message was finished once" [ "$(counter acks)" = "$lines" ]
is "what was worked on twice ($twice) had lost its lease ($told times told)" [ $twice -le $((told * batch)) ]
is "at the kills, or because a lease ran out" [ $twice -le $((3 * 4 * batch + $(counter expiries))) ]
echo "$lines lines, $twice worked on twice; $(counter expiries) leases ran out"
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish

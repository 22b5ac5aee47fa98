#!/bin/bash
# test_powercut.sh [--cycles N] [--bug] - real power cuts: an ext4 file system on a loop file is shut down under the
# broker, so that what the device has not been given is gone, and every later write and flush fails.
#
# In half of the cycles the broker is killed before the cut (a machine that stops at once), in the other half it lives on
# and must notice by itself: it may not acknowledge anything any more, and must end. Then the file system is mounted anew,
# which replays its own journal, and the broker started on what is left. The clients live through it all; at the end their
# history is judged (history.h). With --bug the broker is one that answers before its disk does (planted.sh 1), and the
# test is whether the judge says so.
cycles=4 bug=0
while [ $# -gt 0 ]; do
    case $1 in
    --cycles) cycles=$2 && shift ;;
    --bug) bug=1 ;;
    esac
    shift
done
. tests/e2e/lib.sh "powercut$bug"
RANDOM=${SEED:-$$}
loop_disk power_cut 256M
OPTIONS=(--data "$T/disk/data" "${SMALL[@]}" --disk-max 128M)
late=0 disk_fails=1

cut() { # ORDER
    if [ "$1" = kill_first ]; then
        broker_ends KILL
        "$B/prog_shutdown" "$T/disk"
    else
        "$B/prog_shutdown" "$T/disk"
        broker_ends ''
        [ "$code" = 74 ] && late=$((late + 1))
    fi
    unmount "$T/disk" && plug_in
}

is "the broker starts" broker "${OPTIONS[@]}"
background "$B/prog_history" load "$address" jobs "$T/history" -i 48 -e 20 >"$T/clients" 2>&1
clients=$!
survived=0
for cycle in $(seq "$cycles"); do
    until_lines "$T/clients" $(($(wc -l <"$T/clients") + 1 + RANDOM % 20)) 60 || break
    [ $((cycle % 2)) = 0 ] && order=kill_first || order=cut_first
    cut $order 2>>"$T/broker.err" || break
    broker "${OPTIONS[@]}" || break
    survived=$cycle
done
is "the broker came back after each of $cycles power cuts" [ $survived = "$cycles" ] || finish
is "a broker whose disk is gone says so: exit code 74" [ $late = $(((cycles + 1) / 2)) ]
is "and served on after the last" until_lines "$T/clients" $(($(wc -l <"$T/clients") + 3)) 60
kill -TERM $clients
is "the clients end well, without having been started again" wait $clients
full=$(awk '/^broken/ && $2 >= 32' "$T/clients" | wc -l)
[ $bug = 1 ] || # whose puts are answered at once, so that few are ever under way
    is "32 puts and more were under way in three of four cycles" [ $((full * 4)) -ge $((cycles * 3)) ]
is "the queue can be drained" timeout 120 "$B/prog_history" drain "$address" jobs "$T/history"
if [ $bug = 1 ]; then
    is "the history is judged" verdicts "$T/history"
    is "a broker that answers before its disk does is found out" grep -q '^broken no_put_lost' "$T/judged"
    grep -E '^seen|^broken' "$T/judged"
else
    judge "$T/history"
fi
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish

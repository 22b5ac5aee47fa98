#!/bin/bash
# test_kill.sh [--cycles N] - kill -9 under load, again and again: nothing that was acknowledged is lost, nothing that was
# finished comes again.
#
# One process of clients lives through it all and writes its history; the broker is killed when a drawn number of
# messages has been acknowledged since it was ready, and started again on the same directory and port. At the end the
# queue is drained and the history judged.
cycles=20
[ "$1" = --cycles ] && cycles=$2
. tests/e2e/lib.sh kill
RANDOM=${SEED:-$$}

# -- the judge itself: each bad history is rejected for what is wrong in it --
rejects() { # PROMISE LINE...
    local promise=$1
    shift
    printf '%s\n' "$@" >"$T/bad"
    "$B/prog_judge" "$T/bad" >"$T/said" && return 1
    [ "$(grep -c ^broken "$T/said")" = 1 ] && grep -q "^broken $promise:" "$T/said"
}
accepts() {
    printf '%s\n' "$@" >"$T/good"
    "$B/prog_judge" "$T/good" >"$T/said"
}
is "the judge accepts a good history" accepts "p 1 ok A" "d 1 A 1" "a 1 ok" "p 2 unknown" "p 3 fail" "d 2 B 1" "a 2 unknown" "d 2 B 2" "x 2 stale" "a 2 ok" drained
is "and puts of which nobody knows, that came or never did" accepts "p 1 unknown" "p 2 unknown" "d 2 B 1" "a 2 ok" drained
is "and one whose ack nobody knows, and that never came again" accepts "p 1 ok A" "d 1 A 1" "a 1 unknown" drained
is "and no lost put" rejects no_put_lost "p 1 ok A" "p 2 ok B" "d 1 A 1" "a 1 ok" drained
is "and no put whose only ack was refused" rejects no_put_lost "p 1 ok A" "d 1 A 1" "a 1 stale" drained
is "and nothing after its ack" rejects ack_is_final "p 1 ok A" "d 1 A 1" "a 1 ok" "d 1 A 2" drained
is "and no phantom" rejects no_phantom "d 1 A 1" "a 1 ok" drained
is "and no failed put that comes" rejects failed_put_stays_failed "p 1 fail" "d 1 A 1" "a 1 ok" drained
is "and no put done twice" rejects one_put_one_message "p 1 unknown" "d 1 A 1" "d 1 B 1" "a 1 ok" drained
is "and no message but the one that was promised" rejects one_put_one_message "p 1 ok A" "d 1 B 1" "a 1 ok" drained
is "and no foreign body" rejects bodies_equal "w A" drained
is "and no old receipt that works" rejects stale_receipts_refused "p 1 ok A" "d 1 A 1" "d 1 A 2" "x 1 ok" "a 1 ok" drained
is "and none while the newer one was not refused" rejects stale_receipts_refused "p 1 ok A" "d 1 A 1" "d 1 A 2" "x 1 ok" "a 1 unknown" drained
is "but one whose successor was lost in the crash" accepts "p 1 ok A" "d 1 A 1" "d 1 A 2" "a 1 stale" "x 1 ok" drained
is "and no history without an end" rejects drained "p 1 unknown"

# -- the load and the kills --
is "the broker starts" broker --data "$T/data" "${SMALL[@]}"
background "$B/prog_history" load "$address" jobs "$T/history" -i 48 -e 20 >"$T/clients" 2>&1
clients=$!
survived=0
for cycle in $(seq "$cycles"); do
    told=$(($(wc -l <"$T/clients") + 1 + RANDOM % 20))
    until_lines "$T/clients" $told 60 || break
    broker_ends KILL
    broker --data "$T/data" "${SMALL[@]}" || break
    survived=$cycle
done
is "the broker came back after each of $cycles kills" [ $survived = "$cycles" ] || finish
is "and served on after the last" until_lines "$T/clients" $(($(wc -l <"$T/clients") + 3)) 60
kill -TERM $clients
is "the clients end well, without having been started again" wait $clients
is "they lost their connection in nine of ten cycles" [ $(($(grep -c ^broken "$T/clients") * 10)) -ge $((cycles * 9)) ]
full=$(awk '/^broken/ && $2 >= 32' "$T/clients" | wc -l)
is "with 32 puts and more under way in three of four cycles" [ $((full * 4)) -ge $((cycles * 3)) ]
is "the queue can be drained" timeout 120 "$B/prog_history" drain "$address" jobs "$T/history"
judge "$T/history"
is "it was a real run" [ "$(sed -n 's/^seen: \([0-9]*\) puts ok.*/\1/p' "$T/judged")" -ge $((cycles * 20)) ]
[ "$cycles" -ge 20 ] && is "old receipts were tried" [ "$(sed -n "s/.* \([0-9]*\) old receipts tried;.*/\1/p" "$T/judged")" -ge 10 ]
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish

#!/bin/bash
# test_idle.sh - an idle broker sleeps: with a thousand parked takes and every port open it wakes up less than 20 times a
# second, counted by the kernel's own context switches and, where tracing is permitted, by strace.
. tests/e2e/lib.sh idle
is "the broker starts with all its ports" broker --data "$T/data" "${SMALL[@]}" --http 127.0.0.1:0 --local "$T/leat.sock" || finish
background "$B/prog_parked" "$address" jobs 1000 >"$T/parked" 2>&1
until_lines "$T/parked" 1 60
is "a thousand takes are parked" grep -qx 'parked 1000' "$T/parked" || {
    cat "$T/parked"
    finish
}

switches() { cat /proc/"$pid"/task/*/status | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'; }
ticks() { awk '{ print $14 + $15 }' /proc/"$pid"/stat; }
# Whatever the last take has caused is over when nothing was switched for half a second, or it never is.
settled() {
    local before end=$((SECONDS + 20))
    until before=$(switches); read -r -t 0.5 <>"$T/.never"; [ $(($(switches) - before)) -le 10 ]; do
        [ $SECONDS -lt $end ] || return 1
    done
}
is "it comes to rest" settled
before=$(switches) used=$(ticks)
read -r -t 5 <>"$T/.never"
per_second=$((($(switches) - before) / 5)) used=$(($(ticks) - used))
is "it wakes up less than 20 times a second ($per_second)" [ $per_second -lt 20 ]
is "and uses less than a fiftieth of a core ($used ticks of 500)" [ $used -lt 10 ]
if timeout 1 strace -c -f -p "$pid" >"$T/try" 2>&1; [ $? = 124 ] && ! grep -q 'Operation not permitted' "$T/try"; then
    timeout -s INT 5 strace -c -f -o "$T/strace" -p "$pid" 2>/dev/null
    calls=$(awk '$NF == "total" { print $4 }' "$T/strace")
    is "strace counts less than 20 calls a second (${calls:-none} in 5 s)" [ "${calls:-1000}" -lt 100 ]
else
    skip idle_strace "tracing is not permitted: $(head -n 1 "$T/try")"
fi

is "a put wakes it, and a parked take is filled" "$B/leat" -s "$address" put jobs hello
until_lines "$T/parked" 2 10
is "at once" grep -q 'a take ended: ok' "$T/parked"
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish

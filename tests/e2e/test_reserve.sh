#!/bin/bash
# test_reserve.sh [--full] - a disk that is full stays usable: while puts are refused, takes and leases that run out go on
# until the log has been written over many times, a kill -9 in between changes nothing, and whatever is acknowledged gives
# its space back.
#
# The file system is an ext4 of 64 MiB on a loop file; of the log, about 8 MiB are free. Log time is real time, so an hour
# of it is measured in what it would write: leases of a millisecond make in a second the facts that leases of half a minute
# make in hours.
mib=40
[ "$1" = --full ] && mib=8192
. tests/e2e/lib.sh reserve
loop_disk full_disk 64M -m 0
OPTIONS=(--data "$T/disk/data" "${SMALL[@]}" --segment-size 1M --block-max 256K --disk-max 1G --http 127.0.0.1:0)
export LEAT_ADDRESS
counter() { "$B/leat" queue stat jobs --json | sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" | head -n 1; }
metric() { curl -s -m 10 "$(sed -n 's/^leatd: http //p' "$T/broker.err" | tail -n 1)/metrics" | sed -n "s/^$1 //p"; }
left() { local mode=$1; shift; timeout 300 "$B/prog_left" "$mode" "$address" jobs "$T/left" "$@" >>"$T/said" 2>&1; }

is "the broker starts on a small disk" broker "${OPTIONS[@]}" || finish
LEAT_ADDRESS=$address
mkfifo "$T/go"
background "$B/prog_left" hold "$address" aside "$T/aside" 900 <>"$T/go" >"$T/held" 2>&1
held=$!
is "some messages are leased" until_lines "$T/held" 1
is "it can be filled" left flood || cat "$T/said"
full=$(counter ready)
is "with a good many messages ($full)" [ "${full:-0}" -ge 50000 ]

# Somebody else takes what is left of the disk: takes are refused, too, but what is leased can be finished, one by one, in
# blocks of 4 KiB that go round the reserve three times.
cat /dev/zero >"$T/disk/other" 2>/dev/null
before=$(metric leat_log_written_bytes_total)
echo go >"$T/go"
is "900 leases can be finished when others have filled the disk" wait $held || cat "$T/held"
is "which takes more of the log than is in reserve" [ $(($(metric leat_log_written_bytes_total) - before)) -ge $((3 << 20)) ]
no_room="leat: no_space: jobs: the log has no room left, as disk_max is reached or the disk is full: finish messages to make some"
is "takes are refused then, in words that fit them" [ "$("$B/leat" take jobs --timeout 200ms 2>&1)" = "$no_room" ]
rm "$T/disk/other"
goes_on() { local e=$((SECONDS + 10)); until "$B/leat" take jobs --lease 1ms --timeout 200ms >/dev/null 2>&1; do [ $SECONDS -lt $e ] || return 1; done; }
is "takes go on when they have given it back" goes_on

# Leases that run out, until the log has been overrun so many times; killed once on the way.
written=0 killed=0 end=$((SECONDS + 60 + mib))
until [ "$written" -ge $((mib << 20)) ]; do
    [ $SECONDS -lt $end ] || break
    before=$(metric leat_log_written_bytes_total)
    left churn 2 || { tail -n 3 "$T/said"; break; }
    now=$(metric leat_log_written_bytes_total)
    [ "${now:-0}" -gt "${before:-0}" ] || break
    written=$((written + now - before))
    [ $killed = 0 ] && [ "$written" -ge $((mib << 19)) ] || continue
    killed=1
    broker_ends KILL
    is "it starts again while the disk is full" broker "${OPTIONS[@]}" || finish
done
grep takes "$T/said" | awk '{ t += $1; d += $3; r += $5 } END { print "reserve: " t " takes, " d " deliveries, " r " takes refused" }'
echo "reserve: $((written >> 20)) MiB of log on a disk of 64 MiB that is full"
is "takes and expiries go on until the log has gone round many times" [ "$written" -ge $((mib << 20)) ]
is "with a kill -9 on the way" [ $killed = 1 ]
is "puts are still refused" [ "$("$B/leat" put --timeout 200ms jobs x 2>&1 | cut -d: -f1,2)" = "leat: no_space" ]

sleep_until_ready() { local e=$((SECONDS + 10)); until [ "$(counter ready)" = "$full" ]; do [ $SECONDS -lt $e ] || return 1; done; }
is "every message is ready again" sleep_until_ready
is "all are delivered and finished" left finish || tail -n 3 "$T/said"
is "none is left" [ "$(counter ready)$(counter leased)" = 00 ]
is "then it can be filled again" left flood || tail -n 3 "$T/said"
again=$(counter ready)
is "as far as before ($again messages)" [ "${again:-0}" -ge $((full * 9 / 10)) ]
is "and emptied" left finish || tail -n 3 "$T/said"
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish

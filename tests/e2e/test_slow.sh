#!/bin/bash
# test_slow.sh [--cycles N] - a disk that hardly moves: the broker's writes are throttled, to ten a second or to a few bytes,
# on and off under load and over kills. Everything takes longer and nothing is lost.
#
# The data directory is on a loop file; the block controller (cgroup v1 or v2) throttles the loop device for the broker.
cycles=4
[ "$1" = --cycles ] && cycles=$2
. tests/e2e/lib.sh slow
RANDOM=${SEED:-$$}
export LEAT_ADDRESS
loop_disk slow_disk 192M
device=$(mountpoint -d "$T/disk")

# A group whose writes to the device can be throttled: its directory and which version, or nothing.
group='' version=''
for d in /sys/fs/cgroup/blkio /sys/fs/cgroup; do
    mkdir "$d/leat-slow-$$" 2>/dev/null || continue
    group=$d/leat-slow-$$
    [ -e "$group/blkio.throttle.write_iops_device" ] && version=1 && break
    [ -e "$group/io.max" ] && version=2 && break
    rmdir "$group" && group=''
done
if [ -z "$group" ]; then
    skip slow_disk "no block controller"
    finish
fi
trap 'tidy_up; rmdir "$group" 2>/dev/null' EXIT
throttle() { # IOPS BYTES: of writes, a second; 0: as fast as it goes
    if [ $version = 1 ]; then
        echo "$device $1" >"$group/blkio.throttle.write_iops_device" && echo "$device $2" >"$group/blkio.throttle.write_bps_device"
    else
        echo "$device wiops=${1/#0/max} wbps=${2/#0/max}" >"$group/io.max"
    fi
}
printf '#!/bin/sh\necho $$ >"%s/cgroup.procs" && exec "$@"\n' "$group" >"$T/slowly"
chmod +x "$T/slowly"
WRAP=$T/slowly
if ! throttle 20 0 2>/dev/null; then
    skip slow_disk "the block controller does not take $device"
    finish
fi
throttle 0 0

OPTIONS=(--data "$T/disk/data" "${SMALL[@]}" --disk-max 96M --http 127.0.0.1:0)
metric() { curl -s -m 10 "$(sed -n 's/^leatd: http //p' "$T/broker.err" | tail -n 1)/metrics" | sed -n "s/^$1 //p"; }
blocks() { # how many a second are written, over half a second
    local a b
    a=$(metric leat_log_blocks_total)
    read -r -t 0.5 <>"$T/.never"
    b=$(metric leat_log_blocks_total)
    echo $(((${b:-0} - ${a:-0}) * 2))
}

is "the broker starts" broker "${OPTIONS[@]}" || finish
LEAT_ADDRESS=$address
background "$B/prog_history" load "$address" jobs "$T/history" -i 48 -e 20 >"$T/clients" 2>&1
clients=$!
is "clients are served" until_lines "$T/clients" 10
fast=$(blocks)
throttle 20 0
slow=$(blocks)
echo "slow: $fast blocks a second, $slow when it may write 20 times"
if [ "$slow" -gt 40 ]; then
    skip slow_disk "the throttle has no effect"
    kill -TERM $clients
    finish
fi
went=0
for cycle in $(seq "$cycles"); do
    case $((cycle % 4)) in
    0) throttle 0 0 ;;
    1) throttle 0 $((65536 + RANDOM)) ;;
    2) throttle $((10 + RANDOM % 20)) 0 ;;
    3) throttle $((10 + RANDOM % 20)) 0 && broker_ends KILL && broker "${OPTIONS[@]}" ;;
    esac || break
    until_lines "$T/clients" $(($(wc -l <"$T/clients") + 1 + RANDOM % 5)) 60 || break
    went=$cycle
done
is "clients are served on in each of $cycles changes of speed" [ $went = "$cycles" ]
throttle 20 0
start=$SECONDS
broker_ends TERM
is "SIGTERM ends a broker whose disk is slow within its five seconds" [ $((SECONDS - start)) -le 7 ]
is "well, or saying that the disk was too slow" [ "$code" = 0 -o "$code" = 74 ]
throttle 0 0
is "it starts again" broker "${OPTIONS[@]}" || finish
is "and serves as fast as before" until_lines "$T/clients" $(($(wc -l <"$T/clients") + 20)) 60
kill -TERM $clients
is "the clients end well, without having been started again" wait $clients
is "the queue can be drained" timeout 120 "$B/prog_history" drain "$address" jobs "$T/history"
judge "$T/history"
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]
finish

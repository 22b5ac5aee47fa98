#!/bin/bash
# make.sh - makes the golden data directories of this version: small ones with known content, that every later version
# must open. `tests/golden/make.sh` after `make`; what it writes is committed. Once a version is released its directory
# here is never made again.
#
#   VERSION/NAME.tar.gz    the data directory
#   VERSION/NAME.dump      what `leat dump --bodies` says of it, without times
#   VERSION/NAME.messages  what the queues hold: QUEUE, STATE, BODY; written down here as it is put in
set -e
cd "$(dirname "$0")/../.."
B=$(realpath "${B:-build}")
version=$(sed -n 's/^.define LEAT_VERSION "\(.*\)"/\1/p' client/leat.h)
out=$PWD/tests/golden/$version
T=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -KILL $pid; rm -rf "$T"' EXIT
PATH=$B:$PATH
rm -rf "$out"
mkdir -p "$out"

start() { # DIRECTORY
    exec 7< <(exec leatd --data "$1" --listen 127.0.0.1:0 --http none --local none --segment-size 1M --block-max 256K \
        --body-max 16K --hot-max 2M --disk-max 64M --buffer-max 16M --queues-max 64 --ready-max 1000 --leases-max 256 \
        --sessions-max 64 2>&1)
    pid=$!
    while IFS= read -r line <&7; do
        case $line in
        "leatd: tcp "*) export LEAT_ADDRESS=${line#leatd: tcp } ;;
        "leatd ready") return ;;
        esac
    done
    return 1
}
end() { # SIGNAL
    kill "-$1" $pid
    wait $pid 2>/dev/null || :
    pid=
}
holds() { printf '%s\t%s\t%s\n' "$@" >>"$T/messages"; }
keep() { # NAME
    leat fsck "$T/$1" >/dev/null
    leat dump "$T/$1" --bodies | normal >"$out/$1.dump"
    sort "$T/messages" >"$out/$1.messages"
    rm -f "$T/$1/lock" "$T/$1/leat.sock"
    tar -C "$T" -S --sort=name --owner=0 --group=0 --mtime=@0 -cf - "$1" | gzip -9n >"$out/$1.tar.gz"
    : >"$T/messages"
}
. tests/golden/normal.sh
: >"$T/messages"

# Nothing was ever put.
start "$T/fresh"
end TERM
keep fresh

# A message in every state, a dropped queue, a dead-letter queue; all of it in the log, no checkpoint.
fill() {
    leat queue create failed
    leat queue create jobs --max-attempts 1 --dead-letter failed
    leat queue create alone --max-attempts 1
    leat queue create old
    leat put old "never seen again" >/dev/null
    leat queue drop old
    leat put jobs "first" >/dev/null
    leat put alone "kills its worker" >/dev/null
    leat take jobs | cut -f1 | leat nack jobs -     # to failed
    leat take alone | cut -f1 | leat nack alone -   # dead
    holds failed ready first
    holds alone dead "kills its worker"
    leat put jobs "done" >/dev/null
    leat take jobs --ack >/dev/null
    leat put jobs "under way" >/dev/null
    leat take jobs --lease 12h >/dev/null
    holds jobs leased "under way"
    leat put jobs --delay 30d "in a month" >/dev/null
    holds jobs delayed "in a month"
    seq -f "number %g" 1 20 | leat put jobs --lines >/dev/null
    for i in $(seq 1 20); do holds jobs ready "number $i"; done
    long=$(printf 'long%.0s' $(seq 1250))
    leat put alone "$long" >/dev/null
    holds alone ready "$long"
}
start "$T/states"
fill
end KILL
keep states

# The same behind a checkpoint, and a tail behind that.
start "$T/checkpoint"
fill
end TERM
start "$T/checkpoint"
leat put failed "behind the checkpoint" >/dev/null
holds failed ready "behind the checkpoint"
end KILL
keep checkpoint

# A block was begun when the power went.
start "$T/torn"
leat queue create jobs
leat put jobs "safe" >/dev/null
holds jobs ready safe
end KILL
python3 - "$T/torn/log-00000001" <<'PYTHON'
import struct, sys
with open(sys.argv[1], "r+b") as f:
    data = f.read()
    at = number = 0
    while data[at:at + 8] == b"leat blk":
        head = data[at:at + 4096]
        number, = struct.unpack_from("<Q", head, 24)
        payload, = struct.unpack_from("<I", head, 56)
        at += (80 + payload + 4095) // 4096 * 4096
    head = bytearray(head)
    struct.pack_into("<Q", head, 24, number + 1)
    f.seek(at)
    f.write(head[:512])
PYTHON
keep torn
ls -l "$out"

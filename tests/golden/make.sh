#!/bin/bash
# make.sh [[--again] NAME...] - makes the golden data directories of this version: small ones with known content, which
# every later version must open. After `make`; what it writes is committed. Without names: all that are missing. One
# that is there stays as it is, but for --again; once a version is released none of its directories is made again.
#
#   VERSION/NAME.tar.gz    the data directory
#   VERSION/NAME.dump      what `leat dump --bodies` says of it, without times
#   VERSION/NAME.messages  what the queues hold: QUEUE, STATE, BODY; written down here as it is put in
#
# Each is made by make_NAME, which ends with an error when the directory did not become what it is for.
set -e
cd "$(dirname "$0")/../.."
B=$(realpath "${B:-build}")
version=$(sed -n 's/^.define LEAT_VERSION "\(.*\)"/\1/p' client/leat.h)
out=$PWD/tests/golden/$version
T=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -KILL $pid; rm -rf "$T"' EXIT
PATH=$B:$PATH
OPTIONS=(--segment-size 1M --block-max 256K --body-max 16K --hot-max 2M --disk-max 64M --buffer-max 16M --queues-max 64
    --ready-max 1000 --leases-max 256 --sessions-max 64)
. tests/golden/normal.sh

start() { # DIRECTORY [OPTION...]
    exec 7< <(exec leatd --data "$1" --listen 127.0.0.1:0 --http none --local none "${OPTIONS[@]}" "${@:2}" 2>&1)
    pid=$!
    while IFS= read -r line <&7; do
        case $line in
        "leatd: tcp "*) export LEAT_ADDRESS=${line#leatd: tcp } ;;
        "leatd: http "*) metrics=${line#leatd: http }/metrics ;;
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
metric() { curl -sf "$metrics" | sed -n "s/^$1 //p"; }
entered() { echo $(($(metric leat_log_segments) - 2)); } # segments, of a log that only grows: two are kept ahead
holds() { printf '%s\t%s\t%s\n' "$@" >>"$T/messages"; }
is_so() { # WHAT COMMAND...
    "${@:2}" || { echo "make.sh: $name: not so: $1" >&2 && exit 1; }
}
says() { leat fsck "$T/$name" | grep -qE "$1"; } # PATTERN
pack() { # NAME
    leat fsck "$T/$1" >/dev/null
    leat dump "$T/$1" --bodies | normal >"$out/$1.dump"
    sort "$T/messages" >"$out/$1.messages"
    rm -f "$T/$1/lock" "$T/$1/leat.sock"
    tar -C "$T" -S --sort=name --owner=0 --group=0 --mtime=@0 -cf - "$1" | gzip -9n >"$out/$1.tar.gz"
}
# The index of the checkpoint (storage/FORMAT.md): one number for each segment of the log in it, its blocks.
indexed() {
    python3 - "$T/$name" <<'PYTHON'
import struct, sys
copies = open(sys.argv[1] + "/manifest", "rb").read()
newest = max((copies[:65536], copies[65536:]), key=lambda copy: struct.unpack_from("<Q", copy, 16))
bytes_, = struct.unpack_from("<Q", newest, 48)
area, = struct.unpack_from("<I", newest, 64)
chunks, index, at = open(f"{sys.argv[1]}/checkpoint-{area}", "rb").read(bytes_), b"", 0
while at < bytes_:
    kind, payload = struct.unpack_from("<I", chunks, at + 12)[0], struct.unpack_from("<I", chunks, at + 48)[0]
    index += chunks[at + 64:at + 64 + payload] if kind == 1 else b""
    at += (64 + payload + 4095) // 4096 * 4096
at = 24
for _ in range(struct.unpack_from("<I", index, 16)[0]):
    blocks, = struct.unpack_from("<I", index, at + 16)
    print(blocks)
    at += 24 + 2 * blocks
PYTHON
}

# Nothing was ever put.
make_fresh() {
    start "$T/fresh"
    end TERM
}

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
make_states() {
    start "$T/states"
    fill
    end KILL
}

# The same behind a checkpoint, and a tail behind that.
make_checkpoint() {
    start "$T/checkpoint"
    fill
    end TERM
    start "$T/checkpoint"
    leat put failed "behind the checkpoint" >/dev/null
    holds failed ready "behind the checkpoint"
    end KILL
}

# A block was begun when the power went.
make_torn() {
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
    is_so "the tail is torn" says "the tail is torn"
}

# What survived of six segments stands in a keep segment, whose directory has two pages (252 entries are one). No
# checkpoint was taken since, so that the index still names the segments whose place it took.
make_keep() {
    local round n filler
    filler=$(printf '%015900d' 0)
    start "$T/keep" --http 127.0.0.1:0 --checkpoint-every 1G
    leat queue create waiting
    leat queue create passing
    for round in 1 2 3 4 5 6; do
        seq -f "round $round, message %g" 45 | leat put waiting --lines >/dev/null
        for n in $(seq 45); do holds waiting ready "round $round, message $n"; done
        while [ "$(entered)" = "$round" ]; do
            leat put passing "$filler" >/dev/null
            leat take passing --ack >/dev/null
        done
    done
    end TERM
    start "$T/keep" --http 127.0.0.1:0
    SECONDS=0
    until [ "$(metric leat_keep_segments)" = 1 ]; do is_so "the cleaner works" [ $SECONDS -lt 60 ]; done
    end KILL
    is_so "there is a keep segment of all that wait" says "^log-[0-9]+: 270 kept messages of blocks "
    is_so "the index names what it replaced" [ "$(indexed | wc -l)" = 7 ]
    is_so "one segment of the log is left" [ "$(leat fsck "$T/keep" | grep -cE '^log-[0-9]+: blocks ')" = 1 ]
}

# `leat backup` of a broker that works, behind a checkpoint; what came later is not in it.
make_backup() {
    start "$T/original"
    fill
    end TERM
    start "$T/original"
    leat put failed "before the backup" >/dev/null
    holds failed ready "before the backup"
    leat backup "$T/backup" >/dev/null
    leat put failed "behind the backup" >/dev/null
    end KILL
    is_so "no broker has opened the copy" copied "$T/backup/manifest"
}
copied() { # MANIFEST: each whole copy in it says so
    python3 - "$1" <<'PYTHON'
import struct, sys
data = open(sys.argv[1], "rb").read()
whole = [data[at:at + 65536] for at in (0, 65536) if data[at:at + 8] == b"leat man"]
sys.exit(not whole or any(struct.unpack_from("<I", copy, 65528)[0] != 1 for copy in whole))
PYTHON
}

# `leatd --salvage` has closed a hole in the tail behind a checkpoint, at the cost of one message.
make_salvage() {
    start "$T/salvage"
    fill
    end TERM
    start "$T/salvage"
    leat put failed "before the hole" >/dev/null
    leat put failed "in the hole" >/dev/null
    leat put failed "behind the hole" >/dev/null
    holds failed ready "before the hole"
    holds failed ready "behind the hole"
    end KILL
    python3 - "$T/salvage/log-00000001" <<'PYTHON'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(f.read().index(b"in the hole"))
    f.write(b"I")
PYTHON
    is_so "it is damaged" says "^CORRUPT log-.* is damaged"
    leatd --salvage --data "$T/salvage" "${OPTIONS[@]}" >"$T/told"
    is_so "a block is given up" grep -qE "^given up: log-00000001, .* are damaged$" "$T/told"
    is_so "a message from behind it is saved" grep -qE "^saved behind the damage: .*, 1 come anew" "$T/told"
    is_so "what was damaged is put aside" says "^note +salvaged-.*: put aside by leatd --salvage"
}

# Many small blocks before a checkpoint, in three segments: the index says of each block where it begins.
make_index() {
    local n=0
    start "$T/index" --http 127.0.0.1:0 --checkpoint-every 1G
    leat queue create jobs
    while [ "$(entered)" -lt 3 ]; do
        n=$((n + 1))
        leat put jobs "number $n" >/dev/null
        holds jobs ready "number $n"
    done
    end TERM
    start "$T/index"
    leat put jobs "behind the checkpoint" >/dev/null
    holds jobs ready "behind the checkpoint"
    end KILL
    is_so "three segments are in the index" [ "$(indexed | wc -l)" = 3 ]
    is_so "two of them full of small blocks" [ "$(indexed | head -n 2 | xargs)" = "256 256" ]
}

again=
[ "$1" != --again ] || { again=1 && shift; }
if [ -n "$again" ] && [ $# = 0 ]; then
    echo "make.sh: --again: of which NAME?" >&2
    exit 64
fi
[ $# -gt 0 ] || set -- fresh states checkpoint torn keep backup salvage index
mkdir -p "$out"
for name; do
    if ! declare -F "make_$name" >/dev/null; then
        echo "make.sh: no directory is called $name" >&2
        exit 64
    fi
    if [ -e "$out/$name.tar.gz" ] && [ -z "$again" ]; then
        echo "$name is there and stays"
        continue
    fi
    : >"$T/messages"
    "make_$name"
    pack "$name"
done
ls -l "$out"

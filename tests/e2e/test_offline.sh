#!/bin/bash
# test_offline.sh - leat fsck, dump and explain, and leatd --salvage, on directories of the real broker: healthy, torn, and
# after five kinds of rot.
. tests/e2e/lib.sh offline
PATH=$(realpath "$B"):$PATH
D=$T/data
TINY=(--http none --local none --segment-size 1M --block-max 256K --body-max 16K --hot-max 2M --disk-max 256M --buffer-max 16M)

run_seconds=120
out() { grep -qE -- "$1" "$T/out"; }
err() { grep -qF -- "$1" "$T/err"; }
json() { python3 -c 'import json,sys; print(eval(sys.argv[1], {"j": json.load(sys.stdin)}))' "$1"; }
start() { broker --data "$1" "${TINY[@]}" && export LEAT_ADDRESS=$address; }
copy() { rm -rf "$T/copy" && cp -r --sparse=always "$D" "$T/copy"; }
# How many messages come out; each body once.
drain() {
    timeout 120 leat take jobs -n 1000 --ack >"$T/drained" 2>/dev/null
    while timeout 120 leat take jobs -n 1000 --ack >>"$T/drained" 2>/dev/null; do :; done
    [ -z "$(cut -f2 "$T/drained" | sort | uniq -d)" ] || echo "twice: $(cut -f2 "$T/drained" | sort | uniq -d | head -3)"
    cut -f2 "$T/drained" | sort >"$T/bodies"
    wc -l <"$T/bodies"
}

# -- a directory with a checkpoint and a long tail --
is "a broker starts" start "$D"
leat queue create jobs
seq -f 'job %05g' 1 400 | while read -r l; do printf '%s%2000s\n' "$l" x | tr ' ' .; done >"$T/lines"
leat put jobs --lines --batch 20 <"$T/lines" >/dev/null
is "fsck ends with 73 while a broker runs" run 73 leat fsck "$D"
is "fsck refuses while a broker runs" err "in use by a broker"
is "so does a salvage" run 73 "$LEATD" --salvage --data "$D" "${TINY[@]}"
broker_ends TERM
is "a broker starts again" start "$D"
id=$(leat put jobs "explain me")
leat take jobs -n 5 --ack | cut -f2 | sort >"$T/acked"
leat put jobs --lines --batch 10 < <(sed 's/job/more/' "$T/lines" | head -100) >/dev/null
leat take jobs -n 3 --lease 1h >"$T/leased"
leat put jobs "the last" >/dev/null # leases need no write of their own: they are in the log with this
broker_ends KILL

# -- healthy --
is "a healthy directory is sound" run 0 leat fsck "$D"
is "and fsck says so" out 'sound: [0-9]+ blocks'
is "in JSON too" run 0 leat fsck "$D" --json
is "which is JSON" [ "$(json 'j["sound"] and j["blocks"] > 10 and not [f for f in j["findings"] if f["weight"] == "corrupt"]' <"$T/out")" = True ]
is "a directory that is not there" run 66 leat fsck "$T/nowhere"
mkdir "$T/empty" && mkdir "$T/empty/log-00000001" && echo text >"$T/empty/notes"
for words in "fsck $T/empty" "dump $T/empty" "dump $T/empty --queue jobs" "explain $T/empty $id"; do
    is "a directory of something else: $words" run 66 leat $words
    is "is told as such: $words" err "there is no data directory of leatd here"
done
echo theirs >"$T/empty/lock"
before=$(find "$T/empty" -mindepth 1 -printf '%p %y %s %T@\n' | sort)
is "it is nothing to salvage, either" run 78 "$LEATD" --salvage --data "$T/empty" "${TINY[@]}"
is "which is said" err "there is no data directory of leatd here"
mkdir "$T/bare"
is "nor is an empty one" run 78 "$LEATD" --salvage --data "$T/bare" "${TINY[@]}"
is "which stays empty" [ -z "$(ls -A "$T/bare")" ]
is "and the other as it was" [ "$(find "$T/empty" -mindepth 1 -printf '%p %y %s %T@\n' | sort)" = "$before" ]
is "there is nothing to salvage" run 78 "$LEATD" --salvage --data "$D" "${TINY[@]}"
is "and that is said" err "nothing to salvage"

# -- dump and explain --
is "dump" run 0 leat dump "$D" --queue jobs
is "dump tells every put" [ "$(grep -cP '\tput\t' "$T/out")" = 502 ]
is "and its id" grep -q "id=$id" "$T/out"
is "dump in JSON" run 0 leat dump "$D" --json
is "is one object a line" python3 -c 'import json,sys; [json.loads(l) for l in open(sys.argv[1])]' "$T/out"
is "dump of a queue that never was" run 1 leat dump "$D" --queue jobz
is "names it" err "leat: no_queue: neither log nor checkpoint know a queue 'jobz'"
is "dump of a queue, from a block on that is to come" run 0 leat dump "$D" --queue jobs --from 99999999
last=$(leat dump "$D" | tail -2 | head -1 | cut -d. -f1)
is "dump from a block to a block" run 0 leat dump "$D" --from "$last" --to "$last"
is "has only that block" [ -z "$(grep -v '^#' "$T/out" | grep -v "^$last\.")" ]
is "dump with bodies" run 0 leat dump "$D" --bodies
is "has them" out 'body=explain me'
is "explain" run 0 leat explain "$D" "$id"
is "tells of the put" out 'put into jobs'
is "and the state" out 'now: ready'
receipt=$(head -1 "$T/leased" | cut -f1)
is "explain by receipt" run 0 leat explain "$D" "$receipt"
is "tells of the lease" out 'taken from jobs.* leased until'
is "and whose the receipt is" out 'the newest lease of the message'
is "explain in JSON" run 0 leat explain "$D" "$receipt" --json
is "which is JSON, too" [ "$(json 'j["state"].startswith("leased") and j["put_in_log"]' <"$T/out")" = True ]
is "an id that is none" run 64 leat explain "$D" nonsense
is "an id that is unknown" run 1 leat explain "$D" "$(grep -o "id=[^[:space:]]*" tests/golden/0.1.0/states.dump | tail -1 | cut -c4-)"

# -- torn --
copy
python3 - "$T/copy" <<'PYTHON'
import glob, struct, sys
best = None
for name in glob.glob(sys.argv[1] + "/log-*"):
    data, at = open(name, "rb").read(), 0
    while data[at:at + 8] == b"leat blk":
        head = data[at:at + 4096]
        number, = struct.unpack_from("<Q", head, 24)
        payload, = struct.unpack_from("<I", head, 56)
        at += (80 + payload + 4095) // 4096 * 4096
        if at < len(data) and (best is None or number > best[0]):
            best = (number, name, at, head)
number, name, at, head = best
head = bytearray(head[:600])
struct.pack_into("<Q", head, 24, number + 1)
with open(name, "r+b") as f:
    f.seek(at)
    f.write(head)
PYTHON
is "a torn tail is sound" run 0 leat fsck "$T/copy"
is "and told" out 'note .*the tail is torn'
is "and starts" start "$T/copy"
broker_ends TERM

# -- five kinds of rot --
hit() { # FILE OFFSET: one byte changes
    python3 - "$1" "$2" <<'PYTHON'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    b = f.read(1)[0]
    f.seek(int(sys.argv[2]))
    f.write(bytes([b ^ 0x20]))
PYTHON
}
# A block of the tail, not the last: FILE OFFSET. Blocks behind the checkpoint stand in the newest segment.
tail_block() {
    leat fsck "$D" --json >"$T/json"
    python3 - "$D" "$(json 'j["checkpoint"]' <"$T/json")" <<'PYTHON'
import glob, struct, sys
blocks = []
for name in glob.glob(sys.argv[1] + "/log-*"):
    data, at = open(name, "rb").read(), 0
    while data[at:at + 8] == b"leat blk":
        number, = struct.unpack_from("<Q", data, at + 24)
        facts, payload = struct.unpack_from("<II", data, at + 52)
        if number > int(sys.argv[2]) and facts > 5:
            blocks.append((number, name.rsplit("/", 1)[1], at, payload, facts))
        at += (80 + payload + 4095) // 4096 * 4096
blocks.sort()
number, name, at, payload, facts = blocks[len(blocks) // 2]
print(name, at + payload // 2, at, facts)
PYTHON
}
read -r segment middle begin facts < <(tail_block)
area=$(leat fsck "$D" | sed -n 's/^\(checkpoint-[01]\):.*/\1/p')

flip() { hit "$T/copy/$segment" "$middle"; }
zero() { dd if=/dev/zero of="$T/copy/$segment" bs=4096 count=1 seek=$((begin / 4096)) conv=notrunc 2>/dev/null; }
misdirect() { dd if="$D/$segment" of="$T/copy/$segment" bs=4096 count=1 skip=$((middle / 4096)) seek=$((begin / 4096)) conv=notrunc 2>/dev/null; }
cut_off() { truncate -s "$begin" "$T/copy/$segment"; }
image() { hit "$T/copy/$area" 3000; }
manifests() { hit "$T/copy/manifest" 50 && hit "$T/copy/manifest" $((65536 + 50)); }
gone() { rm "$T/copy/$segment"; }

total=$((400 + 102 - 5))
for kind in flip zero misdirect cut_off image manifests gone; do
    copy
    $kind
    case $kind in image) file=$area ;; manifests) file=manifest ;; *) file=$segment ;; esac
    is "$kind: fsck finds it" run 65 leat fsck "$T/copy"
    is "$kind: and says where" out "^CORRUPT $file"
    is "$kind: a start is refused" run 65 "$LEATD" --data "$T/copy" "${TINY[@]}"
    is "$kind: a dump" run 65 leat dump "$T/copy"
    is "$kind: a dump says that there is damage, or why not" grep -qE 'damaged|missing|cut|not there|cannot be read|manifest' "$T/out" "$T/err"
    is "$kind: a salvage" run 0 "$LEATD" --salvage --data "$T/copy" "${TINY[@]}"
    is "$kind: tells what was given up" out "given up|kept:"
    is "$kind: a second one has nothing to do" run 78 "$LEATD" --salvage --data "$T/copy" "${TINY[@]}"
    [ $kind = gone ] || [ $kind = cut_off ] || is "$kind: now it is sound" run 0 leat fsck "$T/copy"
    is "$kind: it starts" start "$T/copy"
    came=$(drain)
    case $kind in
    image | manifests) is "$kind: nothing is lost" [ "$came" = $total ] ;;
    gone | cut_off) is "$kind: not all are lost" [ "${came##* }" -gt 0 ] ;;
    *) is "$kind: only what stood in the block is lost" [ "$came" -ge $((total - facts)) ] ;;
    esac
    [ $kind = gone ] || is "$kind: what was acknowledged stays away" [ -z "$(comm -12 "$T/acked" "$T/bodies")" ]
    is "$kind: every body is one that was put" [ -z "$(comm -13 <(sort <(cat "$T/lines" <(sed 's/job/more/' "$T/lines") <(printf "explain me\nthe last\n"))) "$T/bodies")" ]
    broker_ends TERM
    is "$kind: it stops" [ "$code" = 0 ]
done

# -- a salvage that was cut short --
copy
: >"$T/copy/salvaging"
is "a salvage that was cut short is told" run 0 leat fsck "$T/copy"
is "as such" out 'a salvage was cut short'
is "and goes on" run 0 "$LEATD" --salvage --data "$T/copy" "${TINY[@]}"
is "to its end" [ ! -e "$T/copy/salvaging" ]
is "after which nothing is left to do" run 78 "$LEATD" --salvage --data "$T/copy" "${TINY[@]}"

# -- what is not leatd's --
copy
mkdir "$T/copy/old" "$T/copy/log-00000099" "$T/copy/made.new" && ln -s /etc/passwd "$T/copy/link" && mkfifo "$T/copy/pipe"
touch "$T/copy/notes" "$T/copy/.hidden" "$T/copy/log-notes" "$T/copy/leat.sock.lock" "$T/copy/$(printf 'x%.0s' $(seq 1 200))"
socket() { python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$1"; }
(cd "$T/copy" && socket leat.sock && socket other.sock)
is "what is not leatd's is no damage" run 0 leat fsck "$T/copy"
while IFS=, read -r name kind; do
    is "and told: $name" grep -qxF "note    $name: not leatd's${kind:+: $kind}" "$T/out"
done <<END
old,a directory
log-00000099,a directory
made.new,a directory
link,a symbolic link
pipe,neither file nor directory
other.sock,neither file nor directory
notes
.hidden
log-notes
$(printf 'x%.0s' $(seq 1 60))...
END
is "and the lock and the socket are leatd's" [ "$(grep -c "not leatd's" "$T/out")" = 10 ]
is "in JSON, too" run 0 leat fsck "$T/copy" --json
is "by one word" [ "$(json 'len([f for f in j["findings"] if f["what"] == "stranger" and f["weight"] == "note"])' <"$T/out")" = 10 ]
is "a start leaves it alone" start "$T/copy"
broker_ends TERM
is "and ends well" [ "$code" = 0 ]
is "and it is all there" [ -d "$T/copy/old" -a -d "$T/copy/log-00000099" -a -L "$T/copy/link" -a -e "$T/copy/log-notes" ]

# -- a manifest of another hand: fsck says what a start does --
M=$T/lonely/manifest
letters() { head -c "$1" /dev/zero | tr '\0' a >"$M"; }
nothing() { : >"$M"; }
short() { echo "not yours" >"$M"; }
long() { letters 131072; }
longer() { letters 300000; }
half() { letters 65536; }
few_zeros() { truncate -s 131071 "$M"; }
directory() { mkdir "$M"; }
link() { ln -s /dev/zero "$M"; }
pipe() { mkfifo "$M"; }
for kind in nothing short long longer half few_zeros directory link pipe; do
    rm -rf "$T/lonely" && mkdir "$T/lonely"
    $kind
    is "manifest, $kind: fsck says that it is damaged" run 65 leat fsck "$T/lonely"
    is "manifest, $kind: and names it" out '^CORRUPT manifest'
    is "manifest, $kind: it cannot be dumped" run 65 leat dump "$T/lonely"
    is "manifest, $kind: nor explained" run 65 leat explain "$T/lonely" "$id"
    case $kind in directory | link | pipe) code=74 ;; *) code=65 ;; esac
    is "manifest, $kind: and a start is refused" run $code "$LEATD" --data "$T/lonely" "${TINY[@]}"
done
zeros() { truncate -s 131072 "$M"; }
zeros_behind() { letters 65536 && truncate -s 131072 "$M"; }
for kind in zeros zeros_behind; do
    rm -rf "$T/lonely" && mkdir "$T/lonely"
    $kind
    touch "$T/lonely/notes"
    is "manifest, $kind: fsck says that it was never used" run 0 leat fsck "$T/lonely"
    is "manifest, $kind: and names what is not leatd's" out "^note    notes: not leatd's"
    is "manifest, $kind: there is nothing to dump" run 0 leat dump "$T/lonely"
    is "manifest, $kind: which is said" out '^# nothing was ever written'
    is "manifest, $kind: nor to explain" run 1 leat explain "$T/lonely" "$id"
    is "manifest, $kind: and it starts" start "$T/lonely"
    broker_ends TERM
done

# -- what is no data directory at all --
is "a file is no data directory" run 66 leat fsck "$T/lines"
garbage() { head -c "$2" /dev/urandom >"$T/junk/$1"; }
for round in 1 2 3; do
    rm -rf "$T/junk" && mkdir "$T/junk"
    garbage manifest 131072 && garbage log-00000001 300000 && garbage checkpoint-0 99999 && garbage checkpoint-1 0
    mkfifo "$T/junk/log-00000002" && mkdir "$T/junk/log-00000003" && ln -s /dev/zero "$T/junk/log-00000004"
    is "garbage is corrupt" run 65 leat fsck "$T/junk"
    is "and cannot be dumped" run 65 leat dump "$T/junk"
    is "nor explained" run 65 leat explain "$T/junk" "$id"
    is "nor salvaged" run 65 "$LEATD" --salvage --data "$T/junk" "${TINY[@]}"
done

# -- a damaged body behind the checkpoint costs no other of its block --
is "a broker starts on a new directory" broker --data "$T/one" "${TINY[@]}"
export LEAT_ADDRESS=$address
seq -f 'body-%03.0f' 1 200 >"$T/bodies"
"$B/leat" queue create q
is "two hundred are put at once" "$B/leat" put q --lines --batch 200 <"$T/bodies"
broker_ends TERM
read -r log at <<<"$(grep -abo 'body-100' "$T"/one/log-* | head -n 1 | tr ':' ' ' | awk '{ print $1, $2 }')"
hit "$log" "$at"
is "fsck finds it" run 65 "$B/leat" fsck "$T/one"
is "a salvage helps" run 0 "$LEATD" --salvage --data "$T/one" "${TINY[@]}"
is "and gives up one message" [ "$(grep -c '^lost:' "$T/out")" = 1 ]
is "it starts" broker --data "$T/one" "${TINY[@]}"
is "with all the others" [ "$(LEAT_ADDRESS=$address "$B/leat" take q -n 200 --raw | sort | md5sum)" = "$(grep -v body-100 "$T/bodies" | md5sum)" ]
broker_ends TERM
finish

#!/bin/bash
# test_backup.sh - leat backup on a broker that works: the copy has everything that was acknowledged before it was asked
# for, and nothing that was finished before; half a copy is refused, whoever died; a failed one leaves nothing behind.
#
# One process of clients writes its history while the backup is taken. The history that the copy must agree with is what
# had been written down when the backup began; of all later lines only that they may or may not have happened.
. tests/e2e/lib.sh backup
OPTIONS=("${SMALL[@]}" --segment-size 1M --block-max 256K --http 127.0.0.1:0 --local "$T/leat.sock")
metric() { curl -s -m 10 "127.0.0.1:$http/metrics" | sed -n "s/^$1 //p"; }
stat_of() { "$B/leat" queue stat "$1" --json | sed -n "s/.*\"$2\": *\([0-9]*\).*/\1/p" | head -n 1; }
start() { # DIRECTORY
    broker --data "$1" "${OPTIONS[@]}" || return
    http=$(sed -n 's|^leatd: http .*:\([0-9]*\).*|\1|p' "$T/broker.err" | tail -n 1)
    export LEAT_ADDRESS=$address
}

# -- a backup under load --
is "the broker starts" start "$T/data" || finish
is "a queue of cold messages is made" "$B/leat" queue create cold
seq -f '%0400g' 1 60000 | timeout 120 "$B/leat" put cold --lines >"$T/put" 2>&1
is "and filled" [ "$(stat_of cold ready)" = 60000 ]
background "$B/prog_history" load "$address" jobs "$T/history" -i 48 -e 20 >"$T/clients" 2>&1
clients=$!
is "clients work" until_lines "$T/clients" 100
before=$(metric leat_checkpoints_total)
lines=$(wc -l <"$T/history")
is "a backup is taken" "$B/leat" backup "$T/copy" --json >"$T/summary"
is "it is summed up" grep -q '"bytes": [0-9]\{8\}' "$T/summary"
for i in 1 2 3; do "$B/leat" backup "$T/more$i" >/dev/null || break; done
is "others follow" [ -e "$T/more3/manifest" ]
is "one over shared memory, too" "$B/leat" -s "vhost://$T/leat.sock" backup "$T/local" --rate 1g >"$T/out"
is "the clients were served meanwhile" until_lines "$T/clients" $(($(wc -l <"$T/clients") + 50))
is "checkpoints went on" [ "$(metric leat_checkpoints_total)" -gt "$before" ]
is "the metrics know of it" [ "$(metric leat_backups_total)" = 5 ]
is "the copy is for its owner's eyes" [ "$(stat -c %a "$T/copy" "$T/copy/manifest" | tr '\n' ' ')" = "700 600 " ]
"$B/leat" backup "$T/copy" >/dev/null 2>"$T/err"
is "a directory that is not empty is refused" [ $? = 74 ]
is "and the reason told" grep -q '^leat: local_file: .*not empty' "$T/err"
is "and what is in it is left alone" [ -e "$T/copy/manifest" ]
kill -TERM $clients
is "the clients end well" wait $clients

# -- who dies in the middle --
# A client that is stopped holds its backup; its manifest tells that it has not ended.
hold() { # DIRECTORY [PREFIX...]: $held is stopped in the middle
    local end=$((SECONDS + 30))
    while [ $SECONDS -lt $end ]; do
        rm -rf "$1"
        "${@:2}" "$B/leat" backup "$1" >"$T/held" 2>&1 &
        held=$!
        others="$others $held"
        until ls "$1"/log-* >/dev/null 2>&1 || ! kill -0 $held 2>/dev/null; do :; done
        kill -STOP $held 2>/dev/null
        grep -qs '^This backup has not ended' "$1/manifest" && [ ! -e "$1/manifest.made" ] && return
        { kill -KILL $held; wait $held; } 2>/dev/null # it was too quick
    done
    return 1
}
is "a backup is stopped in the middle" hold "$T/half"
"$B/leat" backup "$T/second" >/dev/null 2>"$T/err"
is "a second one is refused" [ $? = 1 ]
is "and told to come later" grep -q '^leat: backup_busy: ' "$T/err"
is "and leaves no directory" [ ! -e "$T/second" ]
broker_ends KILL
is "the broker is killed and comes back" start "$T/data"
kill -CONT $held
wait $held
is "the backup ends" [ $? = 1 ]
is "and says why" grep -q '^leat: backup_lost: ' "$T/held"
is "and has removed what it wrote" [ ! -e "$T/half" ]
is "the broker still has everything" [ "$(stat_of cold ready)" = 60000 ]
is "another is stopped in the middle" hold "$T/half"
{ kill -KILL $held && wait $held; } 2>/dev/null
is "its client was killed: a new one may begin at once" "$B/leat" backup "$T/after" >"$T/out"
for signal in INT TERM HUP; do
    is "SIG$signal: one is told to stop" hold "$T/told"
    kill -$signal $held
    kill -CONT $held
    wait $held
    is "SIG$signal: and ends" [ $? = 1 ]
    is "SIG$signal: and says why" grep -q '^leat: closed: the backup was given up' "$T/held"
    is "SIG$signal: and leaves nothing behind" [ ! -e "$T/told" ]
done
is "one is started with nohup" hold "$T/nohup" nohup
kill -HUP $held
kill -CONT $held
wait $held
is "and goes on when the terminal goes" [ $? = 0 ]
is "to its end" "$B/leat" fsck "$T/nohup" >"$T/out"
for kib in 16 512; do # less than the manifest, less than a segment
    (ulimit -f $kib && exec "$B/leat" backup "$T/limited") >"$T/out" 2>"$T/err"
    is "a limit of $kib KiB on files ends it" [ $? = 74 ]
    is "and is named" grep -q '^leat: local_file: .*File too large' "$T/err"
    is "and leaves nothing behind" [ ! -e "$T/limited" ]
done
if [ "$(id -u)" = 0 ] && mkdir "$T/tiny" && mount -t tmpfs -o size=4m none "$T/tiny" 2>"$T/mount"; then
    mounts=$T/tiny
    "$B/leat" backup "$T/tiny/b" >/dev/null 2>"$T/err"
    is "a disk that is too small ends it" [ $? = 74 ]
    is "and is named" grep -q '^leat: local_file: .*No space left' "$T/err"
    is "and is empty again" [ -z "$(ls -A "$T/tiny")" ]
    unmount "$T/tiny" && mounts=
else
    skip small_disk "cannot mount a small file system: $(cat "$T/mount" 2>/dev/null)"
fi
is "the queue of the original can be drained" timeout 120 "$B/prog_history" drain "$address" jobs "$T/drained"
cat "$T/history" "$T/drained" >"$T/whole"
judge "$T/whole" "original: "
broker_ends TERM
is "SIGTERM ends the broker well" [ "$code" = 0 ]

# -- restored --
broker --data "$T/half" "${OPTIONS[@]}" 2>/dev/null
broker_ends ''
is "no broker starts on half a backup" [ "$code" = 65 ]
is "and it says what that is" grep -q 'is a backup that did not end' "$T/broker.err"
cp -r "$T/copy" "$T/restored"
is "a broker starts on a copy" start "$T/restored" || finish
is "in epochs of its own" [ "$(metric leat_epoch)" -gt 65000 ]
is "the cold messages are all there" [ "$(stat_of cold ready)" = 60000 ]
is "and the oldest is the first" [ "$("$B/leat" take cold --raw --ack | sed 's/^0*//')" = 1 ]
is "its queue can be drained" timeout 120 "$B/prog_history" drain "$address" jobs "$T/found"
{
    awk -v n="$lines" 'NR <= n { print; next }
        $1 == "p" || $1 == "a" { print $1, $2, "unknown" }
        $1 == "d" || $1 == "w" { print }' "$T/history"
    cat "$T/found"
} >"$T/expected"
judge "$T/expected" "copy: "
is "it was a real run" [ "$(sed -n 's/^seen: \([0-9]*\) puts ok.*/\1/p' "$T/judged")" -ge 1000 ]
broker_ends KILL
is "it starts once more after a crash" start "$T/restored"
is "with what it had" [ "$(stat_of cold ready)" = 59999 ]
broker_ends TERM
for i in more1 more2 more3 local; do
    is "copy $i starts, too" start "$T/$i"
    is "and has the cold messages" [ "$(stat_of cold ready)" = 60000 ]
    broker_ends TERM
done

# -- salvaged --
for log in $(ls "$T/copy" | grep '^log-' | tail -n 4); do
    rm -rf "$T/hurt" && cp -r "$T/copy" "$T/hurt"
    last=$(cmp -l "$T/hurt/$log" /dev/zero 2>/dev/null | tail -n 1 | awk '{ print $1 - 1 }')
    [ -n "$last" ] || continue
    printf '\252\125\252' | dd of="$T/hurt/$log" bs=1 seek=$((last - 40)) conv=notrunc 2>/dev/null
    "$B/leat" fsck "$T/hurt" >/dev/null && continue
    hurts=$((hurts + 1))
    "$LEATD" --salvage --data "$T/hurt" "${OPTIONS[@]}" >"$T/salvaged" 2>&1
    code=$?
    is "a copy with damage in $log is salvaged, or a start needs no help" [ $code = 0 -o $code = 78 ]
    [ $code = 78 ] || is "and is sound then" eval "'$B/leat' fsck '$T/hurt' >'$T/checked'"
    is "and starts" start "$T/hurt"
    broker_ends TERM
done
is "copies were hurt" [ "${hurts:-0}" -gt 0 ]
finish

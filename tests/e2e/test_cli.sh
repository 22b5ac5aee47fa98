#!/bin/bash
# test_cli.sh - the program `leat` against a real broker, as people and scripts use it.
#
# Nothing sleeps in place of an event: a step that needs something to have happened asks until it has.
B=$(realpath "${B:-build}")
passed=0 failed=0 skipped=0
T=$(mktemp -d /tmp/leat-cli-XXXXXX)
PATH=$B:$PATH
pid=
tidy_up() {
    [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
    rm -rf "$T"
}
trap tidy_up EXIT
cd "$T" || exit 1

# is NAME CONDITION... - counts one check.
is() {
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED: $name ($*)"
        sed 's/^/    out: /' out 2>/dev/null | head -n 5
        sed 's/^/    err: /' err 2>/dev/null | head -n 5
    fi
}
# run CODE COMMAND... - runs it with output in out and err; true when it ends with CODE.
run() {
    local code=$1
    shift
    timeout 60 "$@" >out 2>err
    local got=$?
    [ "$got" -eq "$code" ] || { echo "    exit code $got, not $code: $*"; false; }
}
out() { [ "$(cat out)" = "$1" ]; }
err() { grep -qF -- "$1" err; }
# until CONDITION... - asks until it is true, for 30 s at most.
until_true() {
    local end=$((SECONDS + 30))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        read -r -t 0.02 <> <(:)
    done
    return 0
}
ready() { [ "$(leat queue stat "$1" | sed -n 's/^ready: //p')" = "$2" ]; }
field() { leat queue stat "$1" | sed -n "s/^$2: //p"; }
json() { python3 -c 'import json,sys; print(eval(sys.argv[1], {"j": json.load(sys.stdin)}))' "$1"; }

port=0
start() {
    exec 7< <(exec 8>&-; exec leatd --data data --listen "127.0.0.1:$port" --http none --local "$T/leat.sock" 2>broker.err)
    pid=$!
    while IFS= read -r -t 60 line <&7; do
        case $line in
        "leatd: tcp "*) port=${line##*:} ;;
        "leatd ready") export LEAT_ADDRESS=127.0.0.1:$port && return ;;
        esac
    done
    cat broker.err
    exit 1
}
crash() {
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
}
start

# --- words ---
is "help of all" run 0 leat --help
is "names every command" grep -q 'work QUEUE -- COMMAND' out
is "nothing is a usage error" run 64 leat
is "version" run 0 leat --version
for c in "queue create" "queue drop" "queue list" "queue stat" put take ack nack extend peek work top; do
    is "help of $c" run 0 leat $c --help
    is "usage of $c" grep -q "^usage: leat $c" out
done
is "an unknown command" run 64 leat frobnicate
is "an unknown option" run 64 leat take q --frobnicate
is "an option of another command" run 64 leat take q --lines
is "too few words" run 64 leat put
is "too many words" run 64 leat queue drop a b
is "says which are wanted" err "leat: usage: leat queue drop NAME: too many words"
is "too many for a command without" run 64 leat top a
is "says so" err "leat: usage: leat top: too many words (leat top --help)"
is "a time that is none" run 64 leat take q --wait soon
is "says what it wants" err "500ms"
is "what other brokers may know" run 64 leat queue purge q
is "says so" err "leat: usage: 'queue purge' is not known by this broker"
is "nobody listens" run 69 leat -s 127.0.0.1:1 --timeout 200ms queue list
is "an option before the command" run 69 leat --timeout=200ms -s 127.0.0.1:1 queue list
is "says who" err "leat: unreachable: 127.0.0.1:1: Connection refused"
is "an address that is none" run 64 leat -s 127.0.0.1:x queue list
is "full output" bash -c 'leat queue create full && leat queue list >/dev/full 2>err; [ $? -eq 74 ]'
is "closed output keeps the message" bash -c 'leat put full precious >id; leat take full --ack --lease 1s >&- 2>err; [ $? -eq 74 ]'
is "unfinished" [ "$(field full acks)" = 0 ]
is "closed input is an error" bash -c 'leat put full <&- >out 2>err; [ $? -eq 74 ]'
is "queue has help, too" run 0 leat queue --help

# --- queues ---
is "create" run 0 leat queue create mail --lease 60s --max-attempts 3
is "create again" run 0 leat queue create mail --lease 60s --max-attempts 3
is "create with other options" run 1 leat queue create mail --lease 6s
is "says why" err "leat: queue_exists: mail: "
is "a bad name" run 64 leat queue create "no blanks"
is "stat" run 0 leat queue stat mail
is "tells the lease" grep -qx 'lease: 1m00s' out
is "stat as JSON" [ "$(leat queue stat mail --json | json 'j["max_attempts"], j["lease_ms"], j["dead_letter"]')" = "(3, 60000, None)" ]
is "list" [ "$(leat queue list | cut -f1 | tr '\n' ' ')" = "full mail " ]
is "list as JSON" [ "$(leat queue list --json | json '[q["name"] for q in j]')" = "['full', 'mail']" ]
is "stat of nothing" run 1 leat queue stat nowhere
is "drop" run 0 leat queue drop full
is "drop nothing" run 1 leat queue drop full
is "says what" err "leat: no_queue: full: no such queue"
is "dead letters need a queue" run 1 leat queue create orphan --dead-letter nowhere
is "which is named" err "leat: no_queue: nowhere: "
refused() { # OPTION VALUE SENTENCE COMMAND...
    is "$1 $2 has bounds" run 64 leat "${@:4}" "$1" "$2"
    is "which are told" grep -qxF -- "leat: usage: $1 $2: $3" err
}
below="shorter than the broker's limit lease_min" lease="a lease takes time: from the broker's lease_min to its lease_max, 12h00m"
refused --lease 13h "the broker's limit lease_max is 12h00m" queue create orphan
refused --lease 0s "$lease" queue create orphan
refused --lease 1us "$below" queue create orphan
refused --delay 31d "the broker's limit delay_max is 30d00h" queue create orphan
refused --body-max 2m "the broker's limit body_max is 1048576" queue create orphan
refused --max-attempts 65536 "at most 65535" queue create orphan
is "nothing was made" run 1 leat queue stat orphan
refused --delay 31d "the broker's limit delay_max is 30d00h" put mail x
refused --delay 31d "the broker's limit delay_max is 30d00h" put mail --lines
refused --wait 2h "the broker's limit wait_max is 1h00m" take mail
refused --lease 0 "$lease" take mail

# --- put, take, ack, nack, extend, peek ---
is "put" run 0 leat put mail hello
is "prints the id" grep -qE '^[0-9a-f]{8}-[0-9a-f]{4}-8' out
is "put standard input" bash -c 'printf "a\tb\nc\\\\d\0" | leat put mail >out'
is "put an empty body" bash -c 'leat put mail </dev/null >out'
is "put JSON" [ "$(leat put mail x --json | json 'len(j["id"])')" = 36 ]
is "put what looks like an option" run 0 leat put mail -- --json
is "put nowhere" run 1 leat put nowhere x
is "peek" run 0 leat peek mail -n 2
is "tells the state" [ "$(head -n 1 out | cut -f2,3)" = "$(printf 'ready\thello')" ]
is "does not take" ready mail 5
is "take" run 0 leat take mail
is "one line" [ "$(cut -f2 out)" = hello ]
first=$(cut -f1 out)
is "take escapes" [ "$(leat take mail --ack | cut -f2)" = 'a\tb\nc\\d\0' ]
is "take raw" run 0 leat take mail --raw --ack
is "an empty body is nothing" out ""
is "take JSON" [ "$(leat take mail --json --lease 9s --ack | json 'j["body"], j["attempts"], j["lease_ms"] > 8000')" = "('x', 1, True)" ]
is "take and ack" run 0 leat take mail --ack
is "take of nothing" run 1 leat take mail
is "says empty" err "leat: empty: mail: no message is ready"
is "extend" run 0 leat extend mail "$first" --lease 1m
refused --lease 0s "$lease" extend mail "$first"
refused --lease 1us "$below" extend mail "$first"
refused --delay 31d "the broker's limit delay_max is 30d00h" nack mail "$first"
leat put mail short >out
refused --lease 1us "$below" take mail
is "it was not leased" run 0 leat take mail --ack
is "two forms at a time" run 64 leat take mail --raw --json
is "are one too many" err "leat: usage: --raw and --json: one form or the other"
is "of peek, too" run 64 leat peek mail --json --raw
is "ack" run 0 leat ack mail "$first"
is "peek at nothing" run 1 leat peek mail
is "ack twice" run 1 leat ack mail "$first"
is "names the receipt" err "leat: stale_receipt: $first"
is "a receipt that is none" run 65 leat ack mail nonsense
leat put mail zero >out && leat take mail | cut -f 1 >receipt
before="$(field mail leased) $(field mail acks)"
is "a receipt with a zero byte behind it is none" bash -c '{ tr -d "\n" <receipt; printf "\0garbage\n"; } | leat ack mail - 2>err; [ $? -eq 65 ]'
is "and that is said" err "leat: bad_receipt: standard input, line 1: a zero byte is in no receipt"
is "a line that begins with one is not empty" bash -c '{ cat receipt; printf "\0\n"; } | leat nack mail - 2>err; [ $? -eq 65 ]'
is "and its number is said" err "line 2: a zero byte"
is "nothing happened" [ "$(field mail leased) $(field mail acks)" = "$before" ]
is "the receipt alone is one" bash -c 'leat ack mail - <receipt'
is "nothing to ack" bash -c 'leat ack mail - </dev/null'
printf '\377\376 no text\0' >binary
is "binary in" bash -c 'leat queue create bin && leat put bin <binary >out'
is "binary as JSON" [ "$(leat peek bin --json | json '__import__("base64").b64decode(j["body_base64"])')" = "b'\\xff\\xfe no text\\x00'" ]
is "binary out" bash -c 'leat take bin --raw --ack >out && cmp out binary'
is "a body at the limit" bash -c 'head -c 1048576 /dev/urandom >large; leat put bin <large >out && leat take bin --raw --ack | cmp - large'
is "a body beyond it" bash -c 'head -c 1048577 /dev/zero | leat put bin >out 2>err; [ $? -eq 65 ]'
is "names the limit" err "limit body_max of 1048576"
is "receipts through a pipe" bash -c 'seq 1 50 | leat put bin --lines && leat take bin -n 30 | leat nack bin - && leat take bin -n 50 | leat ack bin -'
is "all are gone" [ "$(field bin ready) $(field bin leased)" = "0 0" ]
is "delay" bash -c 'leat put bin later --delay 300ms >out && ! leat take bin 2>err && [ "$(leat take bin --wait 10s --raw --ack)" = later ]'
leat take mail --wait 20s --raw --ack >waited &
waiter=$!
parked() { [ "$(field mail parked)" = "$1" ]; }
is "a take waits" until_true parked 1
is "put for it" run 0 leat put mail "at last"
wait "$waiter"
is "it comes" [ "$(cat waited)" = "at last" ]
is "a reader that goes early is no crash" bash -c 'seq 1 5000 | leat put bin --lines; leat take bin -n 1000 --raw | head -n 1 >out; [ "$(cat out)" = 1 ]'
leat queue drop bin

# --- lines ---
leat queue create lines
printf 'a\n\nno newline at the end' >in
is "lines" run 0 leat put lines --lines <in
is "three of them" ready lines 3
is "an empty one too" [ "$(leat take lines -n 3 --json --lease 1ms | json '0' 2>/dev/null; leat queue stat lines --json | json 'j["puts"]')" = 3 ]
leat queue drop lines && leat queue create lines
{ printf 'short\nshort\n' && head -c 1048577 /dev/zero | tr '\0' x && echo && echo never; } >in
is "a line too long" run 65 leat put lines --lines <in
is "names line and limit" err "leat: too_large: line 3 is longer than the limit body_max of 1048576 bytes"
is "what stood before it is there" ready lines 2
seq 1 20000 >in
leat queue drop lines && leat queue create lines
is "many lines, one per request" run 0 leat put lines --lines --batch 1 <in
leat take lines -n 1000 --raw --lease 1s | cmp -s - <(seq 1 1000 | head -c -1)
is "in order" [ $? -eq 0 ]
leat queue drop lines && leat queue create lines
mkfifo pipe
leat put lines --lines <pipe >put.out 2>put.err &
putter=$!
exec 8>pipe
seq 1 10000 >&8
is "lines go out while the input is open" until_true ready lines 10000
crash
seq 10001 30000 >&8 & # no more is read than can be under way: the pipe may fill up
writer=$!
start
wait "$writer"
seq 30001 40000 >&8
exec 8>&-
wait "$putter"
is "lines survive a crash of the broker" [ $? -eq 0 ]
is "none is lost or double" ready lines 40000
is "lines to nowhere" bash -c 'seq 1 10 | leat put nowhere --lines 2>err; [ $? -eq 1 ]'
is "says the line" err "leat: no_queue: line 1: no such queue"
leat queue drop lines

# --- work ---
leat queue create failed
leat queue create jobs --max-attempts 2 --dead-letter failed
seq 1 200 | leat put jobs --lines
is "work" run 0 leat work jobs -j 3 --drain -- cat
is "every message once, on standard input" [ "$(grep -o . out | sort | uniq -c | md5sum)" = "$(seq 1 200 | grep -o . | sort | uniq -c | md5sum)" ]
is "all acknowledged" [ "$(field jobs acks)" = 200 ]
seq 1 5000 | leat put jobs --lines
is "work in batches" run 0 leat work jobs -j 2 --batch 500 --drain -- cat
is "as lines" bash -c 'sort -n out | cmp -s - <(seq 1 5000)'
leat put jobs bad >out
is "a command that fails" run 0 leat work jobs --drain --nack-delay 0s -- sh -c 'echo "$LEAT_QUEUE $LEAT_ATTEMPTS ${#LEAT_ID}"; exit 3'
is "tells the message" out "$(printf 'jobs 1 36\njobs 2 36')"
is "the dead letter" [ "$(leat take failed --raw --ack)" = bad ]
leat put jobs long >out
is "longer than its lease" run 0 leat work jobs --drain --lease 300ms -- sh -c 'sleep 1; echo "$LEAT_ATTEMPTS"'
is "was extended" out 1
leat put jobs signals >out
is "a command tells what it ignores" run 0 leat work jobs --drain -- sed -n 's/^SigIgn:[[:space:]]*//p' /proc/self/status
is "SIGPIPE and SIGXFSZ are not among it" [ $((0x$(cat out) & (1 << 12 | 1 << 24))) = 0 ]
is "a command that is none" bash -c 'leat put jobs x >out; leat work jobs --nack-delay 0s -- ./nothing 2>err; [ $? -eq 64 ]'
is "names it" err "./nothing"
is "its message is back" until_true ready jobs 1
printf '#!/nowhere/interpreter\n' >broken && chmod +x broken
is "a command that cannot be executed" run 64 leat work jobs --nack-delay 0s -- ./broken
is "says why" err "leat: ./broken: No such file or directory"
is "the message is back again" until_true ready jobs 1
is "a delay of the broker's limit is the most" run 64 leat work jobs --nack-delay 31d -- cat
is "for work, too" err "leat: usage: --nack-delay 31d: the broker's limit delay_max is 30d00h"
leat queue create codes --max-attempts 2 --dead-letter failed
printf 'one\ntwo\n' | leat put codes --lines
is "exit code 127 is a failure like any other" run 0 leat work codes --drain --nack-delay 0s -- sh -c 'exit 127'
is "says nothing" [ ! -s err ]
is "each message had its attempts" [ "$(field codes nacks) $(leat take failed -n 9 --raw --ack | sort | tr '\n' ' ')" = "4 one two " ]
leat queue drop codes
is "work nowhere" run 1 leat work nowhere -- cat
is "no descriptors for so many jobs" run 71 bash -c 'ulimit -n 20; exec leat work jobs -j 40 --timeout 200ms -- cat'
is "says so" err "leat: no_memory: 127.0.0.1:$port: Too many open files"
rm -f pipe
mkfifo pipe
leat work jobs -- sh -c 'echo started >started; read -r x <pipe; echo "$x" >ended' 2>work.err &
worker=$!
is "it runs" until_true test -s started
kill -TERM "$worker"
echo done >pipe
wait "$worker"
is "SIGTERM ends work well" [ $? -eq 0 ]
is "after what ran" [ "$(cat ended)" = done ]
is "which was finished" [ "$(field jobs leased) $(field jobs ready)" = "0 0" ]
rm -f started
leat put jobs "never ends" >out
leat work jobs --nack-delay 0s -- sh -c 'echo started >started; exec sleep 1000' 2>work.err &
worker=$!
is "another runs" until_true test -s started
signal() { kill "-$1" "$worker" && until_true grep -q ShdPnd:.*0000000000000000 "/proc/$worker/status"; } # it has come
gone() { ! kill -0 "$1"; }
# ended: true when the worker has ended by itself, and well; at the latest now.
ended() {
    until_true gone "$worker" || kill -KILL "$worker" "$(cat child)"
    wait "$worker"
}
signal INT
kill -INT "$worker"
is "the second signal ends the command and us" ended
is "its message is given back" ready jobs 1
leat queue drop jobs && leat queue create jobs

# Commands that do not listen: $$ is in the file child.
starts() { # QUEUE COMMAND [WRAPPER...]: a worker with a message for it
    rm -f child
    leat put "$1" x >out
    "${@:3}" leat work "$1" --nack-delay 0s --lease 300ms -- sh -c "$2" 2>work.err &
    worker=$!
    until_true test -s child
}
is "a command stops itself" starts jobs 'echo $$ >child; kill -STOP $$; exec sleep 1000'
is "it stands" until_true grep -q 'State:.*T (stopped)' "/proc/$(cat child)/status"
signal TERM
kill -TERM "$worker"
is "the second signal wakes and ends it" ended
is "which gives its message back, too" [ "$(field jobs ready) $(field jobs leased)" = "1 0" ]
leat queue drop jobs && leat queue create jobs
deaf='trap "" TERM; echo $$ >child; exec sleep 1000'
is "a command ignores SIGTERM" starts jobs "$deaf"
signal TERM
signal INT
kill -TERM "$worker"
SECONDS=0
is "the third signal kills it" ended
is "at once" [ "$SECONDS" -lt 8 ]
is "and its message is back" [ "$(field jobs ready) $(field jobs leased)" = "1 0" ]
leat queue drop jobs && leat queue create jobs
is "another ignores it" starts jobs "$deaf"
signal TERM
kill -TERM "$worker"
is "10 s after the second signal it is killed" ended
is "and its message is back" [ "$(field jobs ready) $(field jobs leased)" = "1 0" ]
leat queue drop jobs && leat queue create jobs

# A terminal that goes away.
is "a command runs" starts jobs 'echo $$ >child; sleep 1; echo "after hangups" >ended'
signal HUP
kill -HUP "$worker"
kill -HUP "$worker"
is "SIGHUP ends work well" ended
is "after what ran" [ "$(cat ended) $(field jobs acks) $(field jobs ready)" = "after hangups 1 0" ]
is "a command under nohup" starts jobs 'echo $$ >child; cat >>ended' nohup
is "is done" until_true grep -qx x ended
kill -HUP "$worker"
for word in one two; do
    leat put jobs "$word" >out
    is "SIGHUP hinders nothing under nohup: $word" until_true grep -q "$word" ended
done
signal TERM
is "SIGTERM ends it well" ended
leat queue drop jobs && leat queue create jobs --lease 2s

# --- the main job, small: nothing is lost when the broker is killed under producers and workers ---
seq 1 4000 >in
leat put jobs --lines --batch 50 <in &
jobs_pids=$!
for i in 1 2 3 4; do
    leat work jobs --batch 20 --lease 2s -- sh -c 'cat >>"sum.$$"' 2>>work.err &
    jobs_pids="$jobs_pids $!"
done
some() { [ "$(cat sum.* 2>/dev/null | wc -l)" -ge "$1" ]; }
for n in 200 1500 3000; do
    is "work goes on" until_true some "$n"
    crash
    start
done
whole() { cat sum.* | sort -n | uniq | cmp -s - in && [ "$(field jobs ready) $(field jobs leased) $(field jobs delayed)" = "0 0 0" ]; }
is "every line was worked on, though the broker was killed three times" until_true whole
is "what came twice had a lease that ended" [ "$(cat sum.* | wc -l)" -le 4400 ]
kill -TERM ${jobs_pids#* }
wait $jobs_pids

# --- top, local ---
is "top" run 0 leat top
is "one look" grep -qE '^jobs +0 ' out
is "top as JSON" [ "$(leat top --json | json 'len(j) > 1')" = True ]
is "put through shared memory" run 0 leat -s "vhost://$T/leat.sock" put mail local
is "take through shared memory" [ "$(leat -s "vhost://$T/leat.sock" take mail --raw --ack)" = local ]
is "many lines through shared memory" bash -c "seq 1 50000 | leat -s vhost://$T/leat.sock put jobs --lines"
is "all are there" ready jobs 50000
is "no socket" run 69 leat -s "vhost://$T/nothing" --timeout 200ms queue list

if [ "$skipped" -gt 0 ]; then echo "$passed passed, $failed failed, $skipped skipped"; else echo "$passed passed, $failed failed"; fi
[ "$failed" -eq 0 ]

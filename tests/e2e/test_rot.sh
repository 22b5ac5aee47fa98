#!/bin/bash
# test_rot.sh [--trials N] [--bug] - a disk that lies: one place of a stopped broker's directory is damaged, again and again,
# and each start ends as it must: refused with 65 and the place in the sentence, nothing changed; or everything is
# delivered that was put and not finished, byte for byte, and nothing else.
#
# What is damaged, and what must come of it, is prog_rot's; who knows what is left is prog_left. A base is a directory with
# a life of segments recycled, sealed, cleaned and half full, stopped by SIGTERM or kill -9, beside an older copy of itself and the
# directory of another broker. Bodies that no restart reads may be damaged without a refusal: then they are never served,
# and counted, and all others come. With --bug the broker is one that cuts its log at the first bad block (planted.sh 5), and
# the test is whether the trials say so.
trials=34 bug=0
while [ $# -gt 0 ]; do
    case $1 in
    --trials) trials=$2 && shift ;;
    --bug) bug=1 ;;
    esac
    shift
done
. tests/e2e/lib.sh rot
seed=${SEED:-$$}
OPTIONS=("${SMALL[@]}" --segment-size 1M --block-max 256K --hot-max 2M --disk-max 64M --http 127.0.0.1:0)
DRAWS=(flip:sealed flip:tail flip:manifest flip:manifests flip:checkpoint zero:sealed zero:tail zero:manifest zero:manifests
    zero:checkpoint misdirect:sealed misdirect:tail misdirect:manifest misdirect:manifests misdirect:checkpoint stale:sealed
    stale:tail stale:manifest stale:manifests stale:checkpoint cut:sealed cut:tail cut:manifest cut:manifests cut:checkpoint
    flip:kept zero:kept misdirect:kept stale:kept cut:kept lost:any extra:any twin:any foreign:any)
PER_BASE=${#DRAWS[@]} base=''

# A life of $1, with a kill -9 in it; an older copy of it, of the same start; the end by signal $2.
live() { # NAME SIGNAL SEED
    fill() { "$B/prog_left" fill "$address" jobs "$T/$1.left" "$2" "$3"; }
    broker --data "$T/$1" "${OPTIONS[@]}" && fill "$1" "$3" 420 && broker_ends KILL && broker --data "$T/$1" "${OPTIONS[@]}" &&
        fill "$1" $(($3 + 1)) 30 && kill -STOP "$pid" && cp -r "$T/$1" "$T/$1.older" && kill -CONT "$pid" &&
        fill "$1" $(($3 + 2)) 40 && broker_ends "$2"
}
# Not those with a suffix, which were being made when the broker died: any start sweeps them away.
sums() { (cd "$T/data" && cksum log-???????? checkpoint-? manifest) 2>/dev/null; }
metric() { curl -s -m 10 "$(sed -n 's/^leatd: http //p' "$T/broker.err")/metrics" | sed -n "s/^$1 //p"; }

# What the refusal says: FILE and, where bytes are named, a range that has damage in it.
names_place() { # FILE FROM END WHAT
    local said file from end
    said=$(cat "$T/said")
    case $4 in
    lost) grep -q "^leatd: $1 is missing" <<<"$said" ;;
    extra) grep -q "^leatd: $1 holds blocks, but the manifest does not list it" <<<"$said" ;;
    cut) grep -qE "^leatd: .*$1.*(cut|damaged|missing)" <<<"$said" ;;
    *)
        read -r file from end <<<"$(sed -nE 's/^leatd: .*\<(log-[0-9]+|checkpoint-[01]|manifest), bytes ([0-9]+)\.\.([0-9]+).*/\1 \2 \3/p' <<<"$said")"
        if [ "$1" = manifest ]; then # which may be old: then it is said what does not fit it
            grep -qE '^leatd: .*(log-[0-9]+|checkpoint-[01]|manifest)' <<<"$said"
        elif [ -n "$file" ]; then
            [ "$file" = "$1" ] && [ "$from" -lt "$3" ] && [ "$end" -ge "$2" ]
        else
            grep -q "^leatd: .*\<$1\>" <<<"$said"
        fi
        ;;
    esac
}

# One trial: its verdict in $verdict, "" when it went as it must.
trial() { # KIND PLACE SEED
    local older=$T/$base.older expect file from end what before
    verdict=''
    [ "$1" = foreign ] && older=$T/other
    rm -rf "$T/data" && cp -r "$T/$base" "$T/data"
    "$B/prog_rot" "$T/data" "$3" "$1" "$2" "$older" "$T/hurt" >"$T/draw" 2>"$T/draw.err"
    case $? in
    0) ;;
    3) drawn=0 && return ;;
    *) verdict="prog_rot: $(cat "$T/draw.err")" && return ;;
    esac
    drawn=1
    read -r expect file from end what <"$T/draw"
    before=$(sums)
    : >"$T/broker.err"
    if ! broker --data "$T/data" "${OPTIONS[@]}"; then
        broker_ends ''
        cp "$T/broker.err" "$T/said"
        refused=$((refused + 1))
        [ "$expect" = refused ] || [ "$expect" = either ] || verdict="refused, but it is $expect"
        [ "$code" = 65 ] || verdict="exit $code, not 65"
        names_place "$file" "$from" "$end" "$what" || verdict="the sentence does not name the damage"
        [ "$before" = "$(sums)" ] || verdict='something was changed'
        return
    fi
    started=$((started + 1))
    [ "$expect" = refused ] && verdict='it started'
    if ! timeout 60 "$B/prog_left" drain "$address" jobs "$T/$base.left" "$T/hurt" >"$T/drained" 2>"$T/drained.err"; then
        verdict="${verdict:+$verdict; }$(cat "$T/drained.err")"
    elif ! grep -q ' 0 damaged' "$T/drained"; then
        cold=$((cold + 1))
        [ "$(metric leat_corrupt_bodies_total)" -ge "$(sed 's/.* \([0-9]*\) damaged.*/\1/' "$T/drained")" ] || verdict='not counted'
        [ "$expect" = cold ] || verdict="damaged bodies, but it is $expect"
    fi
    broker_ends KILL
}

# The comparison itself: a list of what is left that is wrong in one line is found to be.
compare() { # SENTENCE SED-EXPRESSION
    sed "$2" "$T/other.left" >"$T/wrong.left"
    broker --data "$T/data" "${OPTIONS[@]}"
    "$B/prog_left" drain "$address" jobs "$T/wrong.left" "$T/none" >"$T/drained" 2>&1
    rc=$?
    broker_ends KILL
    rm -rf "$T/data" && cp -r "$T/other" "$T/data"
    if [ -z "$1" ]; then [ $rc = 0 ]; else [ $rc = 1 ] && grep -q "$1" "$T/drained"; fi
}

refused=0 started=0 cold=0 done=0 tries=0 wrong=0
echo "next 100001" >"$T/other.left" # other messages than those of the bases
is "another broker has a directory" live other TERM 1 || finish
cp -r "$T/other" "$T/data"
is "what was left comes" compare '' ''
is "a message that was not left is noticed" compare 'was finished, or never put' '20d'
is "one that does not come is noticed" compare 'message 5 .* is lost' '1a 5 jobs 00000100-0000-8000-8000-000000000000'
is "one with another id is noticed" compare 'came twice, or as' '20s/[0-9a-f]$/x/'
is "one of another queue is noticed" compare 'came twice, or as' '20s/ jobs / jobs-kept /;20t;20s/ jobs-kept / jobs /'
turn=0 futile=0 # a draw that damages nothing is tried again, and given up where this base has nothing for it
while [ $done -lt "$trials" ]; do
    if [ "$base" != base$((turn / PER_BASE)) ]; then
        rm -rf "$T/${base:-none}"*
        base=base$((turn / PER_BASE))
        [ $(((turn / PER_BASE + seed) % 2)) = 0 ] && end_by=KILL || end_by=TERM
        is "$base can be made" live "$base" $end_by $((seed + tries)) || finish
    fi
    draw=${DRAWS[$((turn % ${#DRAWS[@]}))]} tries=$((tries + 1))
    trial "${draw%:*}" "${draw#*:}" $((seed + tries))
    if [ "$drawn" = 0 ]; then
        futile=$((futile + 1))
        [ $futile -lt 20 ] || { turn=$((turn + 1)) futile=0; }
        continue
    fi
    done=$((done + 1)) turn=$((turn + 1)) futile=0
    if [ -n "$verdict" ]; then
        wrong=$((wrong + 1))
        echo "FAILED: trial $done, $draw, seed $((seed + tries)): $verdict; drawn: $(cat "$T/draw"); said: $(grep -v 'leatd: data' "$T/broker.err" | tail -n 2 | tr '\n' ' ')"
    fi
done
echo "rot: $done trials (SEED=$seed): $refused refused, $started started, $cold of them with bodies refused at delivery, $wrong wrong"
if [ $bug = 1 ]; then
    is "a broker that guesses is found out" [ $wrong -ge 3 ]
    finish
fi
is "each of $done damages ends as it must" [ $wrong = 0 ]
is "some were refused, some were harmless" [ $refused -gt 0 -a $started -gt 0 ]
finish

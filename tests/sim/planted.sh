#!/bin/bash
# planted.sh [--table | --list] [N...] - each planted bug (../README.md) must be caught; prints how many seeds that
# took, or which unit test did it. Only the files that mention a bug are compiled anew, in a build directory of its own;
# the rest is taken from $B. --table writes the numbers into tests/README.md. Else each bug must have a row there; the
# numbers may differ. --list only prints which bugs there are; `make tidy` wants all that the sources have among them.
B=${B:-build}
table=
[ "${1:-}" = --table ] && table=1 && shift
SEEDS=${SEEDS:-2000}
# What no seed is sure to see: which test does.
declare -A unit=([51]=test_journal_clean [52]=test_image)
all=(1 2 3 4 5 6 7 8 9 10 19 20 21 23 24 25 28 29 30 31 32 33 34 35 37 38 39 41 50 51 52 53 60 61 62)
[ "${1:-}" = --list ] && printf '%s\n' "${all[@]}" && exit
bugs=("$@")
[ ${#bugs[@]} -gt 0 ] || bugs=("${all[@]}")
passed=0 failed=0
mkdir -p "$B/bugs"
unset MAKEFLAGS MAKEOVERRIDES MFLAGS
make --no-print-directory -j2 B="$B" BUG=0 "$B/leat-sim" "${unit[@]/#/$B/}" >/dev/null || exit 1

build() { # bug, program
    local dir=$B/bugs/$1
    local files
    files=$(grep -lE "LEAT_BUG [!=]= $1\$" broker/*/*.c storage/*.c client/*.c)
    [ -n "$files" ] || return 1
    rm -rf "$dir" && mkdir -p "$dir"
    for room in broker storage client tests; do cp -al "$B/$room" "$dir/"; done
    find "$dir" -name '*.d' -delete
    for f in $files; do rm -f "$dir/${f%.c}.o"; done
    make --no-print-directory B="$dir" BUG="$1" LTO= "$dir/$2"
}

by_seed() { # bug: "seed how" of the first that fails
    local sample=0
    [ "$1" = 34 ] && sample=1 # it makes two runs of a seed differ, and is right otherwise
    "$B/bugs/$1/leat-sim" --seeds "1..$SEEDS" --first --sample $sample --jobs "${JOBS:-2}" 2>/dev/null |
        sed -n 's/^seed \([0-9]*\) failed: \(.*\)/\1 \2/p' | sort -n | head -n 1
}

by_test() { # bug, test: "test how" of the first sentence that is not true any more
    "$B/bugs/$1/$2" 2>&1 | sed -n "s/^\[  FAILED  \] \(.*: .*\)/$2 \1/p" | head -n 1
}

printf '| %4s  %7s  %s\n' bug seeds 'caught as'
for bug in "${bugs[@]}"; do
    test=${unit[$bug]:-}
    if ! build "$bug" "${test:-leat-sim}" >/dev/null 2>"$B/bugs/log"; then
        printf '| %4s  %7s  %s\n' "$bug" - 'no such bug, or it does not build'
        failed=$((failed + 1))
        continue
    fi
    if [ -n "$test" ]; then line=$(by_test "$bug" "$test"); else line=$(by_seed "$bug"); fi
    if [ -n "$line" ]; then
        printf '| %4s  %7s  %s\n' "$bug" "${line%% *}" "${line#* }"
        passed=$((passed + 1))
        [ -z "$table" ] || sed -i "s/^\(| $bug | .* | \)[^|]* |\$/\1${line%% *} |/" tests/README.md
        if ! grep -q "^| $bug | " tests/README.md; then
            echo "tests/README.md has no row for bug $bug"
            failed=$((failed + 1))
        fi
    else
        printf '| %4s  %7s  %s\n' "$bug" "${test:-> $SEEDS}" 'NOT CAUGHT'
        failed=$((failed + 1))
    fi
    rm -rf "$B/bugs/$bug"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

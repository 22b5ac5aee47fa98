#!/bin/bash
# run_sim.sh - the seeds of `make sim` and `make test` (SEEDS=A..B), each hundredth twice; two thousand and more must hit
# every mark.
seeds=${SEEDS:-1..2000}
marks=()
[ $((${seeds#*..} - ${seeds%..*})) -ge 1999 ] && marks=(--marks tests/sim/marks.txt)
exec "${B:-build}/leat-sim" --seeds "$seeds" --jobs 2 "${marks[@]}"

#!/usr/bin/env bash
# test_slurm.sh SALMAP SOURCE: sweeps as arrays of a real Slurm, submitted by scripts/slurm/submit.sh: undisturbed, told
# to stop, requeued, cancelled. What comes out is what one run without shards writes, bit by bit.
# Exits with 77 where there is no Slurm to be had.
set -euo pipefail

salmap=$(realpath "$1")
export SALMAP=$salmap
source=$(realpath "$2")
here=$source/tests/slurm
model=small.onnx # made below: this is about who does what
submit=$source/scripts/slurm/submit.sh
# shellcheck source-path=SCRIPTDIR
. "$here/slurm_up.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/salmap-slurm.XXXXXX")
chmod 711 "$work"
reader=
finish() {
    local rc=$?
    # Whoever waits for this script waits for all that hold its output.
    if [[ -n $reader ]]; then
        kill "$reader" 2> /dev/null || true
    fi
    slurm_stop
    rm -rf "$work"
    exit "$rc"
}
trap finish EXIT
trap 'exit 143' TERM INT

rc=0
slurm_start "$work/slurm" || rc=$?
if [[ $rc -ne 0 ]]; then
    echo "skipped: $slurm_reason"
    exit "$rc"
fi
slurmctld -V
cd "$work"

say() {
    echo "[$SECONDS s] $*"
}

# What the tasks and daemons said, and the end.
fail() {
    local log
    squeue -o '%i %j %T %r' || true
    for log in "$work"/run*/logs/*; do
        echo "==> ${log#"$work/"}"
        tail -n 25 "$log"
    done
    echo "FAILED: $*"
    exit 1
}

# id_of NAME OUTPUT: of the job that submit.sh calls so.
id_of() {
    sed -n "s/^$1 \([0-9]*\): .*/\1/p" <<< "$2"
}

field_of() {
    scontrol -o show job "$2" | sed -n "s/.* $1=\([^ ]*\).*/\1/p"
}

ended() {
    [[ -z $(squeue -h -j "$1") ]]
}

# Limits are no expectations: they end a test that hangs.
wait_for_end() {
    slurm_within 240 ended "$1" || fail "job $1 did not end"
}

wait_for_file() {
    slurm_within 120 test -e "$1" || fail "there is no $1"
}

expect() {
    [[ $2 == "$3" ]] || fail "$1: '$2' and not '$3'"
}

same_run() {
    python3 "$here/same_run.py" "$1" "$2" || fail "$2 is not what one run writes"
}

# close_gate: salmap stands still from now on at the first broken picture of each share: it says so to a pipe that is full
# and that nobody reads.
close_gate() {
    rm -f gate signalled
    mkfifo gate
    exec 5<> gate
    python3 - << 'END'
import fcntl
F_SETPIPE_SZ, F_GETPIPE_SZ = 1031, 1032
fcntl.fcntl(5, F_SETPIPE_SZ, 4096)
with open(5, "wb", closefd=False) as gate:
    gate.write(b"\n" * fcntl.fcntl(5, F_GETPIPE_SZ))
END
    export SALMAP=$work/gated.sh
}

open_gate() {
    cat gate > messages &
    reader=$!
    export SALMAP=$salmap
}

# ---- salmap with a gate; pictures: a few, and more of which each share has broken ones

# It gets the signals that salmap gets, and says so: they are sent to both.
cat > gated.sh << END
#!/usr/bin/env bash
if [[ \$1 != sweep ]]; then
    exec "$salmap" "\$@"
fi
trap 'touch "$work/signalled"' USR1
trap : TERM
"$salmap" "\$@" --quiet --batch 2 2> "$work/gate" &
until wait \$!; rc=\$?; ! kill -0 \$! 2> /dev/null; do
    :
done
exit \$rc
END
chmod 755 gated.sh

PYTHONPATH=$source/tests/cli PYTHONDONTWRITEBYTECODE=1 python3 - << 'END'
import os
import files

def numbers(count):
    return [(i * 37 % 19 - 9) / 10 for i in range(count)]

with open("small.onnx", "wb") as f:
    f.write(files.onnx_classifier([numbers(4 * 27), numbers(4), numbers(5 * 4), numbers(5)], "Softmax"))
with open("small.onnx.salmap", "w") as f:
    f.write("preset unit\n")
os.makedirs("few pictures/in a folder")
for i in range(24):
    with open("few pictures/%s%02d.png" % ("in a folder/" if i % 3 == 0 else "", i), "wb") as f:
        f.write(files.gradient_png(24 + i % 5, 24, i + 1))
os.mkdir("many")
for i in range(160):
    data = files.gradient_png(24, 24, i + 1)
    with open("many/%03d.png" % i, "wb") as f:
        f.write(data[:200] if i % 5 == 4 else data)
END

# ---- An array that nothing disturbs: folders with spaces

"$SALMAP" sweep "$model" "few pictures" -o single_few -q
said=$("$submit" "$model" "few pictures" -o "run of 100 %a" --tasks 4 --time=5 -- --maps npy)
array=$(id_of sweep "$said")
merge=$(id_of merge "$said")
[[ -n $array && -n $merge ]] || fail "submit.sh said: $said"
wait_for_end "$merge"
for task in {0..3}; do
    expect "state of task $task" "$(field_of JobState "${array}_$task")" COMPLETED
    [[ -e run\ of\ 100\ %a/logs/sweep-$array-$task.txt ]] || fail "no log of task $task"
done
expect "state of the merge" "$(field_of JobState "$merge")" COMPLETED
same_run single_few "run of 100 %a"
say "an array of four: as one run"

# The same again: nothing is left to do.
said=$("$submit" "$model" "few pictures" -o "run of 100 %a" --tasks 4 --time=5 -- --maps npy)
merge=$(id_of merge "$said")
wait_for_end "$merge"
expect "state of the merge of nothing new" "$(field_of JobState "$merge")" COMPLETED
same_run single_few "run of 100 %a"
say "submitted again: the same"

# ---- A task told to stop, a task requeued

rc=0
"$SALMAP" sweep "$model" many -o single_many -q 2> failures || rc=$?
expect "exit status of a sweep with broken pictures" "$rc" 3
close_gate
said=$("$submit" "$model" many -o run_disturbed --tasks 4 --time=5 -- --threads 1)
array=$(id_of sweep "$said")
merge=$(id_of merge "$said")
wait_for_file run_disturbed/shards/1-of-4.sqlite
scancel -s USR1 "${array}_1"
wait_for_file signalled
# salmap looks for signals ten times a second, and would do the rest of its share in less than that.
sleep 0.2
wait_for_file run_disturbed/shards/2-of-4.sqlite
scontrol requeue "${array}_2"
open_gate
say "task 1 told to stop, task 2 requeued"
wait_for_end "$merge"
log=run_disturbed/logs/sweep-$array-1.txt
grep -q 'exit code 75' "$log" || fail "task 1 did not exit with 75"
grep -q 'stopped early and is queued again' "$log" || fail "task 1 was not requeued"
for task in 1 2; do
    expect "restarts of task $task" "$(field_of Restarts "${array}_$task")" 1
done
for task in {0..3}; do
    expect "state of task $task" "$(field_of JobState "${array}_$task")" COMPLETED
done
# The merge says that there are failed pictures; the tasks do not.
expect "exit status of the merge" "$(field_of ExitCode "$merge")" 3:0
same_run single_many run_disturbed
say "disturbed: as one run"

# ---- A task cancelled: no merge, not by hand either, until the task alone is run again

kill "$reader"
close_gate
said=$("$submit" "$model" many -o run_cancelled --tasks 4 --time=5 -- --threads 1)
array=$(id_of sweep "$said")
merge=$(id_of merge "$said")
wait_for_file run_cancelled/shards/1-of-4.sqlite
scancel "${array}_1"
slurm_within 120 ended "${array}_1" || fail "task 1 was not cancelled"
open_gate
say "task 1 cancelled"
wait_for_end "$array"
wait_for_end "$merge"
expect "state of the cancelled task" "$(field_of JobState "${array}_1")" CANCELLED
expect "restarts of the cancelled task" "$(field_of Restarts "${array}_1")" 0
expect "state of the merge" "$(field_of JobState "$merge")" CANCELLED
rc=0
"$SALMAP" merge run_cancelled > merge.txt 2>&1 || rc=$?
cat merge.txt
expect "exit status of a merge by hand" "$rc" 1
grep -qE '^salmap: merge: run_cancelled/shards/1-of-4.sqlite: [0-9]+ of its [0-9]+ pictures missing, such as' merge.txt ||
    fail "the merge by hand does not name the shard"
[[ ! -e run_cancelled/results.csv ]] || fail "there are results of an incomplete run"

task=$(sbatch --parsable --array=1 --time=5 --output=run_cancelled/logs/again.txt \
    "$source/scripts/slurm/sweep_array.sh" "$model" many -o run_cancelled --shard auto/4)
wait_for_end "$task"
expect "state of the task that was run again" "$(field_of JobState "${task}_1")" COMPLETED
rc=0
"$SALMAP" merge run_cancelled || rc=$?
expect "exit status of the merge after all" "$rc" 3
same_run single_many run_cancelled
say "cancelled and run again: as one run"

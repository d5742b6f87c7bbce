#!/usr/bin/env bash
# submit.sh MODEL INPUT... -o RUN --tasks N [sbatch options] [-- sweep options]
# Submits a sweep to Slurm as an array of N tasks that share the run folder, and the merge that follows them.
#
#   MODEL INPUT...     as for salmap sweep; they come first
#   -o, --out RUN      run folder, on a file system that all nodes see
#   --tasks N          into how many shares; N%M: at most M of them at once
#   sbatch options     of every task, and of the merge as well: --partition, --time, --cpus-per-task, --gres and so on
#   sweep options      of salmap sweep: --maps, --target, --batch and so on
#   -h, --help         show this
#
# salmap is looked for on the PATH, or is what SALMAP names. The logs of all are in RUN/logs.
# Prints the ids of the array and of the merge. The merge is cancelled when a task fails; failed pictures fail no task.
# The merge exits with 3 when there are any. The same command again goes on where the run was.
set -euo pipefail

fail() {
    echo "submit.sh: $1" >&2
    exit "${2:-2}"
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
operands=()
sbatch_options=()
run=
tasks=
while [[ $# -gt 0 ]]; do
    case $1 in
    -h | --help)
        sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    -o | --out | --tasks)
        if [[ $# -lt 2 ]]; then
            fail "$1 needs a value"
        fi
        if [[ $1 == --tasks ]]; then
            tasks=$2
        else
            run=$2
        fi
        shift
        ;;
    --out=*) run=${1#*=} ;;
    --tasks=*) tasks=${1#*=} ;;
    --array | --array=* | -a*) fail "the array is what --tasks says" ;;
    --)
        shift
        break
        ;;
    *)
        # After the first option a word may be the value of one.
        if [[ $1 == -* || ${#sbatch_options[@]} -gt 0 || -n $run$tasks ]]; then
            sbatch_options+=("$1")
        else
            operands+=("$1")
        fi
        ;;
    esac
    shift
done

if [[ ${#operands[@]} -lt 2 ]]; then
    fail "a model and pictures come first; --help says more"
fi
if [[ -z $run ]]; then
    fail "no run folder: -o RUN"
fi
if [[ ! $tasks =~ ^([1-9][0-9]{0,5})(%[1-9][0-9]{0,5})?$ ]]; then
    fail "--tasks: '$tasks' is neither a number nor N%M"
fi
count=${BASH_REMATCH[1]}
limit=${BASH_REMATCH[2]}
for option in "$@"; do
    if [[ $option == --shard || $option == --shard=* ]]; then
        fail "the shards are what --tasks says"
    fi
done
SALMAP=${SALMAP:-salmap}
if ! SALMAP=$(type -P -- "$SALMAP"); then
    fail "salmap is not on the PATH, and SALMAP does not name it" 1
fi
if [[ $SALMAP != /* ]]; then
    SALMAP=$PWD/$SALMAP
fi
export SALMAP
if ! command -v sbatch > /dev/null; then
    fail "there is no sbatch: is this a machine of a Slurm cluster?" 1
fi

# Slurm makes no folders for its logs, and reads a percent sign as the beginning of a placeholder.
mkdir -p -- "$run/logs"
logs=${run//%/%%}/logs

# An array of one tells no task how many there are.
shard=(--shard auto)
if [[ $count -eq 1 ]]; then
    shard=(--shard auto/1)
fi
array=$(sbatch --parsable --output="$logs/sweep-%A-%a.txt" "${sbatch_options[@]}" --array="0-$((count - 1))$limit" \
    "$here/sweep_array.sh" "${operands[@]}" -o "$run" "${shard[@]}" "$@")
# On a site of several clusters the name of the cluster follows.
array=${array%%;*}
echo "sweep $array: $count tasks, logs $run/logs/sweep-$array-*.txt"

if ! merge=$(
    sbatch --parsable --output="$logs/merge-%j.txt" "${sbatch_options[@]}" --job-name=salmap-merge \
        --dependency="afterok:$array" --kill-on-invalid-dep=yes << END
#!/usr/bin/env bash
exec $(printf '%q merge %q' "$SALMAP" "$run")
END
); then
    echo "submit.sh: the array is submitted, the merge is not; afterwards: salmap merge $(printf %q "$run")" >&2
    exit 1
fi
merge=${merge%%;*}
echo "merge $merge: after all of them, log $run/logs/merge-$merge.txt"

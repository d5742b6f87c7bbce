#!/usr/bin/env bash
#SBATCH --job-name=salmap
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
# sbatch --array=0-3 sweep_array.sh MODEL INPUT... -o RUN [sweep options]: a task of a sweep by a Slurm array.
# submit.sh beside it submits the array and the merge.
#   Two minutes before the time limit salmap is told to stop (USR1); it saves what it has, and the task is queued again.
#   Exit status: that of salmap, but 0 for 3 ("finished, some pictures failed"), so that a merge that waits with afterok
#   runs; it says 3 itself.
#   SALMAP names the program, unless it is on the PATH.
# Not -e: what the program exits with decides what is done.
set -uo pipefail

# Who runs one task again says of how many it is: --shard auto/N.
shard=(--shard auto)
for argument in "$@"; do
    if [[ $argument == --shard || $argument == --shard=* ]]; then
        shard=()
    fi
done

# Later versions of srun do not ask sbatch's own --cpus-per-task.
if [[ -n ${SLURM_CPUS_PER_TASK:-} ]]; then
    export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
fi

# srun's child gets the signals that Slurm sends before it ends a job; this script would not pass them on.
# It is no MPI program, whatever the cluster takes for granted.
srun --mpi=none "${SALMAP:-salmap}" sweep "$@" "${shard[@]}"
rc=$?

task=${SLURM_JOB_ID:-}
if [[ -n ${SLURM_ARRAY_JOB_ID:-} ]]; then
    task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
fi
case $rc in
3)
    echo "sweep_array.sh: $task finished; some pictures failed, see above"
    exit 0
    ;;
75 | 138)
    # 138: the signal came before the program was there to catch it. One that was cancelled stays so.
    state=$(squeue --noheader --jobs="$task" --format=%T)
    if [[ $state == RUNNING ]]; then
        echo "sweep_array.sh: $task stopped early and is queued again"
        if scontrol requeue "$task"; then
            # Slurm ends this script when it gets there.
            sleep 60
        fi
    fi
    ;;
esac
exit "$rc"

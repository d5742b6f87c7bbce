#!/usr/bin/env bash
# fuzz.sh [--build DIR] [TARGET SECONDS [-- libFuzzer options]]: builds a fuzz target in DIR (build-fuzz) and runs it for so
# long, under the address and the undefined-behaviour sanitizer, beginning with its corpus and its crashers. "all" runs
# every target, as many at a time as there are cores, and prints a table. Without arguments: the targets.
# fuzz.sh [--build DIR] --minimise TARGET BYTES: makes the corpus anew, as an archive of at most so many bytes, of itself
# and of what was found in DIR.
# Exit status: 0, nothing was found; 1, something was, in DIR/fuzz/TARGET/findings, or the build failed; 2, usage.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
own=$root/tests/fuzz
build=$root/build-fuzz

usage() {
    sed -n '2,7s/^# //p' "$0" >&2
    exit 2
}

# Of them the build leaves out what this machine cannot have.
targets() {
    sed -n 's/^ *sal_fuzz_program(\([a-z_]*\) .*/\1/p' "$own/targets.cmake"
}

build_targets() {
    mkdir -p "$build/fuzz"
    "$root/scripts/build.sh" "$build" --target "$1" -C "$root/src/cmake/cache/fuzz.cmake" > "$build/fuzz/build.log" 2>&1 || {
        cat "$build/fuzz/build.log" >&2
        exit 1
    }
}

# Lines of a section of fuzz.options, as words that begin with a prefix.
options_of() {
    sed -n "/^\[$1\]/,/^\$/s/^\([a-z_]*\) = /$2\1=/p" "$own/fuzz.options"
}

# What a target begins with is laid out anew; what it found before stays.
prepare() {
    local work=$build/fuzz/$1
    rm -rf "$work/seeds"
    mkdir -p "$work/seeds" "$work/found" "$work/findings"
    /usr/bin/python3 "$own/corpus.py" unpack "$own/corpus/$1.zip" "$work/seeds"
}

# Runs the program of a target with libFuzzer's options and folders; its files go to a folder of its own that is removed.
run_program() (
    name=$1
    shift
    below=/dev/shm
    [[ -w $below ]] || below=/tmp
    TMPDIR=$(mktemp -d -p "$below" salmap-fuzz-XXXXXX)
    trap 'rm -rf "$TMPDIR"' EXIT
    export TMPDIR OMP_NUM_THREADS=1 UBSAN_OPTIONS=print_stacktrace=1
    ASAN_OPTIONS=$(options_of asan '' | paste -sd :)
    export ASAN_OPTIONS
    mapfile -t common < <(options_of libfuzzer -)
    if [[ -e $own/dictionaries/$name.dict ]]; then
        common+=("-dict=$own/dictionaries/$name.dict")
    fi
    "$build/tests/fuzz/fuzz_$name" -print_final_stats=1 "${common[@]}" "$@"
)

# Prints a line of the table; the log and the findings lie in the target's folder.
run_target() {
    local name=$1 seconds=$2 work=$build/fuzz/$1 rc=0
    shift 2
    prepare "$name"
    local before
    before=$(find "$work/findings" -type f | wc -l)
    local folders=("$work/found" "$work/seeds")
    if [[ -d $own/crashers/$name ]]; then
        folders+=("$own/crashers/$name")
    fi
    run_program "$name" "-max_total_time=$seconds" "-artifact_prefix=$work/findings/" "$@" "${folders[@]}" \
        > "$work/log" 2>&1 || rc=$?
    local findings executions
    findings=$(($(find "$work/findings" -type f | wc -l) - before))
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
    printf '%-12s %12s %10s %8s %9s\n' "$name" "${executions:-?}" "$((${executions:-0} / seconds))" \
        "$(find "$work/found" "$work/seeds" -type f | wc -l)" "$findings"
    if [[ $rc -ne 0 || $findings -ne 0 ]]; then
        tail -n 60 "$work/log" >&2
        echo "fuzz.sh: $name ended with $rc; what it found lies in $work/findings" >&2
        return 1
    fi
}

print_head() {
    printf '%-12s %12s %10s %8s %9s\n' target executions 'per second' corpus findings
}

run_one() {
    build_targets "fuzz_$1"
    print_head
    run_target "$@"
}

run_all() {
    local seconds=$1 names=() name
    shift
    build_targets fuzz_all
    for name in $(targets); do
        [[ -x $build/tests/fuzz/fuzz_$name ]] && names+=("$name")
    done
    print_head
    printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I '{}' bash "$0" --build "$build" --run '{}' "$seconds" -- "$@" ||
        exit 1
}

# Few inputs that cover together what all do; of them the shortest that there is room for.
minimise() {
    local name=$1 bytes=$2 work=$build/fuzz/$1
    build_targets "fuzz_$name"
    prepare "$name"
    rm -rf "$work/minimal"
    mkdir -p "$work/minimal"
    run_program "$name" -set_cover_merge=1 "-artifact_prefix=$work/findings/" "$work/minimal" "$work/seeds" "$work/found" > "$work/log" 2>&1 || {
        tail -n 60 "$work/log" >&2
        exit 1
    }
    /usr/bin/python3 "$own/corpus.py" pack "$own/corpus/$name.zip" "$work/minimal" "$bytes"
}

if [[ ${1:-} == --build ]]; then
    build=$(realpath -m "${2:?fuzz.sh: --build needs a folder}")
    shift 2
fi
if [[ $# -eq 0 ]]; then
    targets
    exit 0
fi
if [[ $1 == --minimise && $# -eq 3 ]]; then
    minimise "$2" "$3"
    exit 0
fi
run=run_one
if [[ $1 == --run ]]; then
    run=run_target
    shift
fi
name=$1 seconds=${2:-}
if [[ ! $seconds =~ ^[1-9][0-9]*$ ]] || { [[ $# -gt 2 ]] && [[ $3 != -- ]]; }; then
    usage
fi
shift $(($# > 2 ? 3 : 2))
if [[ $name == all ]]; then
    run_all "$seconds" "$@"
elif targets | grep -qx "$name"; then
    "$run" "$name" "$seconds" "$@"
else
    echo "fuzz.sh: there is no target '$name'; there are: all $(targets | xargs)" >&2
    exit 2
fi

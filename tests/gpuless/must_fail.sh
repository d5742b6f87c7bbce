#!/usr/bin/env bash
# must_fail.sh MESSAGE PROGRAM [ARGUMENT...]: passes where the program fails and its output has MESSAGE (a regular
# expression), which the program without the planted bug does not print.
set -uo pipefail
message=$1
shift
# What a sanitizer says of it is no report on the project: it belongs to the output. An assertion that fails leaves what
# the test had.
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:log_path=stderr:detect_leaks=0
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-}:log_path=stderr
output=$("$@" 2>&1)
rc=$?
printf '%s\n' "$output" | tail -n 20
if [[ $rc -eq 0 ]]; then
    echo "must_fail.sh: nothing noticed the planted bug" >&2
    exit 1
fi
if ! grep -qE "$message" <<< "$output"; then
    echo "must_fail.sh: it failed (exit code $rc), but not for '$message'" >&2
    exit 1
fi

#!/usr/bin/env bash
# must_fail.sh MESSAGE PROGRAM [ARGUMENT...]: passes where the program fails and its output has MESSAGE (a regular
# expression), which the program without the planted bug does not print.
set -uo pipefail
message=$1
shift
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

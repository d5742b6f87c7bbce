#!/usr/bin/env bash
# faults.sh [BUILD [OPTION]...]: fails every allocation, thread and system call of salmap's commands in turn and counts what
# comes of it, with the program in BUILD (default: build-test/ of the repository). It takes hours of one core; the options
# are those of tests/faults/faults.py, such as --stride 10, --commands sweep or --kinds memory. Exits with 1 where a command
# crashed, hung or gave another result, but for the endings that tests/faults/endings.txt lists.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build-test
if [[ $# -gt 0 && $1 != -* ]]; then
    build=$1
    shift
fi
"$root/scripts/build.sh" "$build" --target salmap --target sal_faults --target faults_again -DSAL_TESTS=ON
exec /usr/bin/python3 "$root/tests/faults/faults.py" "$build/salmap" "$build/tests/faults/libsal_faults.so" "$root" \
    --again "$build/tests/faults/faults_again" "$@"

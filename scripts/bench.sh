#!/usr/bin/env bash
# bench.sh [BUILD [bench.py options]]: time and memory of the input gradient against PyTorch. Needs a quiet machine.
# Debian's PyTorch is measured; more with --python PATH, the Python of a virtual environment that has another one
# (give --python /usr/bin/python3 first: it writes the networks).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${1:-$root/build-test}
shift || true
"$root/scripts/setup.sh" --tests --references
"$root/scripts/build.sh" "$build" -DSAL_TESTS=ON
/usr/bin/python3 "$root/scripts/bench.py" "$build/tests/bench/bench_gradient" "$build/tests/bench/bench_peak" \
    "$build/bench" "$@"

#!/usr/bin/env bash
# build.sh DIR [--target NAME]... [cmake options]: configures salmap in DIR, and builds it, or the targets alone.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [[ $# -lt 1 || $1 == -* ]]; then
    echo "usage: build.sh DIR [--target NAME]... [cmake options]" >&2
    exit 2
fi
build=$1
shift
targets=()
while [[ ${1:-} == --target ]]; do
    targets+=(--target "${2:?build.sh: --target needs a name}")
    shift 2
done

# A folder that was configured before keeps its generator.
generator=()
if [[ ! -e $build/CMakeCache.txt ]]; then
    generator=(-G Ninja)
fi
mkdir -p "$build"
log=$build/configure.log
if ! cmake -S "$root" -B "$build" "${generator[@]}" "$@" > "$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
grep -E '^(-- CUDA|CMake Warning)' "$log" || true
cmake --build "$build" --parallel "$(nproc)" "${targets[@]}"

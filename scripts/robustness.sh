#!/usr/bin/env bash
# robustness.sh [--seconds N] [--stride N] [--pictures N] [BUILD]: what became of hostile files, failing calls and kills, as the
# tables of tests/README.md.
#   --seconds N    of each fuzz target [600]
#   --stride N     of the calls of each command every N-th fails [10]
#   --pictures N   in the sweeps that are killed [3000]
# BUILD (default: build-test/ of the repository) was built by scripts/build.sh, without a sanitizer. Exits with 1 where something
# was found.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build-test
seconds=600 stride=10 pictures=3000
while [[ $# -gt 0 ]]; do
    case $1 in
    --seconds | --stride | --pictures)
        if [[ ! ${2:-} =~ ^[1-9][0-9]*$ ]]; then
            echo "robustness.sh: $1 needs a number" >&2
            exit 2
        fi
        printf -v "${1#--}" %s "$2"
        shift
        ;;
    -*)
        echo "robustness.sh: unknown option '$1'; there are --seconds, --stride and --pictures" >&2
        exit 2
        ;;
    *) build=$1 ;;
    esac
    shift
done

found=0
# Prints a section, its command's output as it is, and goes on after a finding.
section() {
    printf '\n### %s\n\n' "$1"
    shift
    printf '    $ %s\n' "${*#"$root"/}"
    "$@" 2>&1 | sed 's/^/    /' || found=1
}
section "Hostile files, $seconds s each" "$root/scripts/fuzz.sh" all "$seconds"
section "Failing calls, every ${stride}th" "$root/scripts/faults.sh" "$build" --stride "$stride"
section "Kills" /usr/bin/python3 "$root/scripts/kill_sweeps.py" "$build/salmap" --pictures "$pictures"
exit "$found"

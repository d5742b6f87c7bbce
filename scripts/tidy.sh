#!/usr/bin/env bash
# tidy.sh [--changed COMMIT] [--deep] [BUILD]: clang-tidy over the C sources of src/, cuda/ and tests/ that BUILD compiles
# (default: build-test/ of the repository), once the headers that are generated there have been. Every finding is an
# error, and is printed once, however many sources include its header. A clean source is looked at again only when
# something that it is made of, its compiler options or a .clang-tidy changed; BUILD/tidy/ remembers.
# --changed looks only at what differs from COMMIT: at changed sources, and at ten of the sources that include a changed
# header. The analyzer follows 50,000 states of a function, for a quarter of the time that clang's own limit takes; --deep
# leaves it at that, 225,000. Exits with 1 after findings, and with 77 where clang-tidy is not version 14: others have
# other opinions.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build-test
commit=
states=50000
while [[ $# -gt 0 ]]; do
    case $1 in
    --changed)
        commit=${2:-}
        if ! git -C "$root" -c safe.directory='*' rev-parse --quiet --verify "$commit^{commit}" > /dev/null; then
            echo "tidy.sh: --changed: git knows no commit '$commit' here" >&2
            exit 2
        fi
        shift
        ;;
    --deep) states=225000 ;;
    -*)
        echo "tidy.sh: unknown option '$1'; there are --changed COMMIT and --deep" >&2
        exit 2
        ;;
    *) build=$1 ;;
    esac
    shift
done

version=$(clang-tidy --version 2> /dev/null | sed -n 's/.*version \([0-9]*\)\..*/\1/p') || true
if [[ $version != 14 ]]; then
    echo "clang-tidy is version ${version:-none}, not 14"
    exit 77
fi
if [[ ! -e $build/compile_commands.json ]]; then
    echo "tidy.sh: '$build' has no compile_commands.json; run scripts/build.sh $build -DSAL_TESTS=ON first" >&2
    exit 2
fi
build=$(cd "$build" && pwd)
cmake --build "$build" --target sal_generated > /dev/null
work=$build/tidy
export root work states

# clang-tidy looks at a source as often as it is compiled: once is enough. For each source, <source>.command prints the
# files that it is made of; -o goes, since gcc would empty that file.
mkdir -p "$work"
python3 - "$root/" "$build/compile_commands.json" "$work" > "$work/sources" << 'EOF'
import json, os, shlex, sys
root, database, work = sys.argv[1:]
kept = {}
for entry in json.load(open(database)):
    source = entry["file"].removeprefix(root)
    if source.startswith(("src/", "cuda/", "tests/")) and source.endswith(".c"):
        kept.setdefault(source, entry)
json.dump(list(kept.values()), open(f"{work}/compile_commands.json", "w"), indent=1)
for source, entry in sorted(kept.items()):
    os.makedirs(os.path.dirname(f"{work}/{source}"), exist_ok=True)
    with open(f"{work}/{source}.command", "w") as out:
        words = shlex.split(entry["command"])
        output = words.index("-o")
        del words[output : output + 2]
        out.write(f"cd {shlex.quote(entry['directory'])} && {shlex.join(words)} -M\n")
    print(source)
EOF

# The files that a source is made of, the system's as well.
list_files() {
    bash "$work/$1.command" | tr -s '[:space:]' '\n' | grep '^/' | sort -u > "$work/$1.files"
}

# What it prints lies in <source>.found, and what it found nothing in is remembered in <source>.clean.
check() {
    local key
    key=$(xargs -d '\n' sha256sum "$work/$1.command" "$work/settings" < "$work/$1.files" | sha256sum)
    rm -f "$work/$1.found"
    if [[ -e $work/$1.clean && $(< "$work/$1.clean") == "$key" ]]; then
        return 0
    fi
    rm -f "$work/$1.clean"
    # Options of gcc that clang does not know are no finding.
    if clang-tidy --quiet -p "$work" --extra-arg=-Wno-unknown-warning-option \
        --extra-arg=-Wno-ignored-optimization-argument --extra-arg=-Xclang --extra-arg=-analyzer-config \
        --extra-arg=-Xclang --extra-arg="max-nodes=$states" "$root/$1" > "$work/$1.found" 2>&1; then
        rm "$work/$1.found"
        echo "$key" > "$work/$1.clean"
    fi
}
export -f list_files check
each_of() {
    xargs -P "$(nproc)" -I '{}' bash -euo pipefail -c "$1 {}"
}

cd "$root"
each_of list_files < "$work/sources"
{
    clang-tidy --version
    cat .clang-tidy tests/.clang-tidy
    echo "$states states"
} > "$work/settings"

including() {
    sed 's/$/.files/' "$work/sources" | (cd "$work" && xargs grep -l -x -F "$root/$1") | sed 's/\.files$//' | head -n 10
}

selected=$work/sources
if [[ -n $commit ]]; then
    selected=$work/selected
    repository=(git -c safe.directory='*')
    {
        "${repository[@]}" diff --name-only "$commit" --
        "${repository[@]}" ls-files --others --exclude-standard
    } > "$work/changed"
    while read -r file; do
        case $file in
        *.clang-tidy | scripts/tidy.sh) cat "$work/sources" ;;
        *.c) grep -x -F "$file" "$work/sources" || true ;;
        *.h) including "$file" || true ;;
        esac
    done < "$work/changed" | sort -u > "$selected"
fi
rm -f "$work/failed"
each_of check < "$selected"

# Each finding with the lines that explain it, that of a header once, and without the counts that clang-tidy prints.
while read -r source; do
    if [[ -e $work/$source.found ]]; then
        cat "$work/$source.found"
        echo "$root/$source" >> "$work/failed"
    fi
done < "$selected" | sed "s|$root/||g" | awk '
    /^[0-9]+ (warning|error)s? / || /^Suppressed / || /^Use -header-filter/ { next }
    /: (warning|error): / { hidden = seen[$0]++ }
    !hidden'
if [[ -e $work/failed ]]; then
    echo "clang-tidy: $(wc -l < "$selected") sources looked at, findings in $(wc -l < "$work/failed")"
    exit 1
fi
echo "clang-tidy: $(wc -l < "$selected") sources, no finding"

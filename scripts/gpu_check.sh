#!/usr/bin/env bash
# gpu_check.sh [OPTION]...: is salmap right, and how fast is it, on this machine's NVIDIA GPU? Builds it with CUDA, runs
# what needs a GPU, and writes one Markdown report. Nothing else uses the GPU meanwhile, please: times are taken.
#   -o, --output FILE   the report [gpu_report.md]
#   --bundle FILE       an archive of scripts/bundle.sh --tests, or the folder that it unpacks to: builds, installs and
#                       downloads nothing; wants python3 with numpy, Pillow and PyTorch, the first on PATH [of a script in an
#                       unpacked bundle, that one]
#   --minutes N         what has not begun by then is left out [8 with --bundle, else no end]
#   --build DIR         build folder [build-gpu of the repository]
#   --device NAME       which GPU [cuda:0]
#   --python PATH       a Python with PyTorch for this GPU, to compare speeds with
#   --quick             small networks, few runs, no PyTorch references
#   --no-setup          installs nothing
#   --no-build          DIR is built already
#   --dry-run           the CPU in the GPU's place, all things small: shows what the report looks like
#   --rehearse          all things small, for programs that emulate a GPU
# Exit status: 0 all is well, 1 something failed (the report says what), 2 wrong usage, 69 there is no GPU.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build-gpu
output=gpu_report.md
device=cuda:0
bundle=
setup=1
compile=1
quick=0
small=0
options=()
while [[ $# -gt 0 ]]; do
    case $1 in
    -o | --output | --build | --device | --python | --bundle | --minutes)
        if [[ $# -lt 2 ]]; then
            echo "gpu_check.sh: $1 needs a value" >&2
            exit 2
        fi
        case $1 in
        --build) build=$2 ;;
        --device) device=$2 ;;
        --python) options+=(--python "$2") ;;
        --bundle) bundle=$2 ;;
        --minutes)
            if [[ ! $2 =~ ^[0-9]+$ || $((10#$2)) -eq 0 ]]; then
                echo "gpu_check.sh: --minutes wants a whole number above 0, not '$2'" >&2
                exit 2
            fi
            options+=(--minutes "$((10#$2))")
            ;;
        *) output=$2 ;;
        esac
        shift
        ;;
    --quick) quick=1 ;;
    --no-setup) setup=0 ;;
    --no-build) compile=0 ;;
    --dry-run)
        small=1
        device=cpu
        options+=(--stand-in cpu)
        ;;
    --rehearse)
        small=1
        options+=(--stand-in rehearsal)
        ;;
    --help)
        sed -n '2,19s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        echo "gpu_check.sh: unknown option '$1'; --help lists them" >&2
        exit 2
        ;;
    esac
    shift
done

if [[ -e $output && ! -f $output ]] || [[ ! -d $(dirname "$output") || ! -w $(dirname "$output") ]]; then
    echo "gpu_check.sh: $output: a report cannot be written there" >&2
    exit 2
fi
output=$(realpath "$output")
# cuda:0 is then the GPU that nvidia-smi calls 0.
export CUDA_DEVICE_ORDER=PCI_BUS_ID
# In a bundle of its own, the script is for that one.
if [[ -z $bundle && -x $root/bin/salmap && -x $root/tests/conformance ]]; then
    bundle=$root
fi
if [[ -n $bundle ]]; then
    if ! python3 -c 'import numpy, PIL' 2> /dev/null; then
        echo "gpu_check.sh: --bundle needs a python3 with numpy and Pillow, first on PATH" >&2
        exit 1
    fi
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    unpacked=$bundle
    if [[ ! -d $bundle ]]; then
        unpacked=$work/bundle
        mkdir "$unpacked"
        if ! said=$(tar --force-local -C "$unpacked" --strip-components=1 -xf "$bundle" 2>&1); then
            echo "gpu_check.sh: $bundle cannot be unpacked: ${said##*$'\n'}" >&2
            exit 1
        fi
    fi
    if [[ ! -e $unpacked/tests/conformance ]]; then
        echo "gpu_check.sh: $bundle holds no tests: make it with scripts/bundle.sh --tests" >&2
        exit 1
    elif [[ ! -x $unpacked/tests/conformance ]]; then
        echo "gpu_check.sh: programs cannot be run in $unpacked: set TMPDIR to a folder where they can" >&2
        exit 1
    fi
fi

if [[ $device == cpu && $small -eq 1 ]]; then
    :
elif [[ ! $device =~ ^cuda:[0-9]+$ ]]; then
    echo "gpu_check.sh: --device must be cuda:0, cuda:1, ..., not '$device'" >&2
    exit 2
elif ! command -v nvidia-smi > /dev/null; then
    echo "gpu_check.sh: there is no nvidia-smi here, so no NVIDIA driver: this needs a GPU (--dry-run does not)" >&2
    exit 69
elif ! timeout -k 5 30 nvidia-smi --id="${device#cuda:}" --query-gpu=name --format=csv,noheader > /dev/null; then
    echo "gpu_check.sh: nvidia-smi finds no GPU $device: this needs one (--dry-run does not)" >&2
    exit 69
fi
if [[ $quick -eq 1 ]]; then
    options+=(--quick)
fi
options+=(--jobs "$(nproc)" --device "$device" --output "$output")

# Programs and data of the bundle, and a place for cuDNN's plans, whatever HOME is.
if [[ -n $bundle ]]; then
    if [[ ! " ${options[*]} " =~ " --minutes " ]]; then
        options+=(--minutes 8)
    fi
    export XDG_CACHE_HOME=$work
    # A signal ends the report's own programs before its files go.
    OMP_WAIT_POLICY=passive TMPDIR=$work python3 -B "$root/scripts/gpu_report.py" "${options[@]}" --programs "$unpacked" \
        --data "$unpacked/share/salmap" &
    report=$!
    trap 'kill -TERM "$report" 2> /dev/null; wait "$report"; rm -rf "$work"; exit 143' INT TERM HUP
    rc=0
    wait "$report" || rc=$?
    exit "$rc"
fi

if [[ $compile -eq 1 ]]; then
    cuda=()
    if [[ $device != cpu ]]; then
        # Its own architecture, so that nothing is compiled when it is first run.
        capability=$(timeout -k 5 30 nvidia-smi --id="${device#cuda:}" --query-gpu=compute_cap --format=csv,noheader)
        cuda=(-DSAL_CUDA=ON "-DSAL_CUDA_ARCHITECTURES=${capability//./}")
    fi
    if [[ $setup -eq 1 ]]; then
        "$root/scripts/setup.sh" --tests
    fi
    "$root/scripts/build.sh" "$build" -DSAL_TESTS=ON -DCMAKE_BUILD_TYPE=Release "${cuda[@]}"
fi
# Networks and references are written by PyTorch, where it is there; what needs them is left out elsewhere.
if [[ $quick -eq 0 && $small -eq 0 && $setup -eq 1 ]] && ! "$root/scripts/setup.sh" --references; then
    echo "gpu_check.sh: going on without PyTorch" >&2
fi
exec /usr/bin/python3 -B "$root/scripts/gpu_report.py" "${options[@]}" --programs "$build"

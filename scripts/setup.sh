#!/usr/bin/env bash
# Installs what salmap is built from, by apt: Debian 12 and 13, Ubuntu 22.04 and later.
#   setup.sh               compiler, CMake and libraries
#   setup.sh --tests       also what the tests need
#   setup.sh --references  also PyTorch and torchvision, which the architecture tests compare with
#   setup.sh --checks      also what .ci/run needs
# Installs what is missing and nothing else: where all is there it is done at once, without a network.
set -euo pipefail

packages=(build-essential cmake ninja-build pkg-config libdnnl-dev libprotobuf-c-dev protobuf-c-compiler libpng-dev
    libjpeg-dev libtiff-dev libsqlite3-dev libssl-dev libzip-dev libdeflate-dev
    libhdf5-dev libjansson-dev libcairo2-dev fonts-dejavu-core)
tests=(libcriterion-dev python3 python3-numpy python3-scipy python3-pil python3-matplotlib)
# Without OpenBLAS, PyTorch multiplies matrices by the plain loops of libblas3: four times slower in double precision.
references=(python3-torch python3-torchvision python3-onnx python3-venv libopenblas0-openmp)
checks=(clang libclang-rt-dev clang-format clang-tidy lld ccache libomp-dev valgrind shellcheck debootstrap git patchelf doxygen)

for option in "$@"; do
    case $option in
    --tests) packages+=("${tests[@]}") ;;
    --references) packages+=("${references[@]}") ;;
    --checks) packages+=("${checks[@]}") ;;
    --help)
        sed -n '2,7s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        echo "setup.sh: unknown option '$option'; there are --tests, --references, --checks and --help" >&2
        exit 2
        ;;
    esac
done

if ! command -v apt-get > /dev/null || ! command -v dpkg-query > /dev/null; then
    echo "setup.sh: this is no Debian or Ubuntu; install the like of: ${packages[*]}" >&2
    exit 1
fi

missing=()
for package in "${packages[@]}"; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2> /dev/null || true)
    if [[ $state != installed ]]; then
        missing+=("$package")
    fi
done
if [[ ${#missing[@]} -eq 0 ]]; then
    exit 0
fi

# sudo drops the environment, and with it the proxy that apt may need.
environment=(DEBIAN_FRONTEND=noninteractive)
for variable in http_proxy https_proxy no_proxy; do
    if [[ -n ${!variable:-} ]]; then
        environment+=("$variable=${!variable}")
    fi
done
as_root=(env "${environment[@]}")
if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo > /dev/null; then
        echo "setup.sh: not root and no sudo; as root run: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo "${as_root[@]}")
fi
apt_options=(-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -qq)

echo "setup.sh: installing ${missing[*]}"
# A broken list of somebody else's archive need not stop the installation.
if ! "${as_root[@]}" apt-get "${apt_options[@]}" update < /dev/null; then
    echo "setup.sh: apt-get update had errors; trying to install all the same" >&2
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! "${as_root[@]}" apt-get "${apt_options[@]}" -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
    "${missing[@]}" < /dev/null > "$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "setup.sh: apt-get could not install ${missing[*]}" >&2
    echo "setup.sh: on Ubuntu, the packages are in the component 'universe'" >&2
    exit 1
fi

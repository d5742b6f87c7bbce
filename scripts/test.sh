#!/usr/bin/env bash
# test.sh [--quick] [--no-setup] [BUILD] [-- cmake options]: builds salmap with its tests in BUILD (default: build-test/
# of the repository) and runs them all. The architecture tests compare with PyTorch, which first writes
# the networks and their gradients into BUILD, and with Keras, which comes from PyPI into BUILD/keras; --quick skips them, and
# with them the need for both, and sweeps that are killed or split dozens of times.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build-test
quick=0
setup=1
while [[ $# -gt 0 ]]; do
    case $1 in
    --quick) quick=1 ;;
    --no-setup) setup=0 ;;
    --)
        shift
        break
        ;;
    -*)
        echo "test.sh: unknown option '$1'; there are --quick and --no-setup" >&2
        exit 2
        ;;
    *) build=$1 ;;
    esac
    shift
done

wanted=(--tests)
if [[ $quick -eq 0 ]]; then
    wanted+=(--references)
fi
if [[ $setup -eq 1 ]]; then
    "$root/scripts/setup.sh" "${wanted[@]}"
fi
# GPU kernels for one architecture, which later ones compile again when they run them: all take minutes. The test
# kernel_resources compiles for all.
"$root/scripts/build.sh" "$build" -DSAL_TESTS=ON -DSAL_CUDA_ARCHITECTURES=75 "$@"
build=$(cd "$build" && pwd)

if [[ $quick -eq 0 ]]; then
    # Debian's Python: the modules belong to it, whatever comes first on the PATH.
    stamp=$build/architectures/.done
    if [[ ! $stamp -nt $root/scripts/make_architectures.py ]]; then
        echo "Writing the reference networks and gradients ..."
        /usr/bin/python3 "$root/scripts/make_architectures.py" --jobs "$(nproc)" "$build/architectures"
        touch "$stamp"
    fi
    export SAL_ARCHITECTURES=$build/architectures
    if "$root/scripts/keras_environment.sh" "$build/keras"; then
        export SAL_KERAS_PYTHON=$build/keras/bin/python
    else
        echo "test.sh: Keras cannot be had from PyPI: the tests that need it are skipped" >&2
    fi
fi
which=()
if [[ $quick -eq 1 ]]; then
    which=(--label-exclude '^long$')
fi
ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel "$(nproc)" "${which[@]}"

#!/usr/bin/env bash
# test.sh [OPTION]... [BUILD] [-- cmake options]: builds salmap with its tests in BUILD (default: build-test/ of the
# repository) and runs them all.
#   --label LABEL     only the tests with this label, and builds just what they run; several: with all of these labels
#   --changed COMMIT  only the tests of what has changed since the commit, but for slow ones
#   --quick           all but the slow tests, which need PyTorch or Keras, or take more than about 20 s
#   --no-setup        installs nothing
# tests/README.md lists the labels. Without options, PyTorch comes from Debian, and Keras from PyPI into BUILD.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build-test
setup=1
labels=()
changed=
quick=0
while [[ $# -gt 0 ]]; do
    case $1 in
    --label | --changed)
        if [[ $# -lt 2 ]]; then
            echo "test.sh: $1 needs a value" >&2
            exit 2
        fi
        if [[ $1 == --label ]]; then
            # Kinds and rooms are listed once, there.
            known="$(sed -n 's/^set(SAL_TEST_[A-Z]* \(.*\))/\1/p' "$root/tests/testing.cmake" | xargs) slow sample"
            if [[ " $known " != *" $2 "* ]]; then
                echo "test.sh: there is no label '$2'; there are: $known" >&2
                exit 2
            fi
            labels+=("$2")
        else
            changed=$2
            if ! git -C "$root" -c safe.directory='*' rev-parse --quiet --verify "$2^{commit}" > /dev/null; then
                echo "test.sh: --changed: git knows no commit '$2' here" >&2
                exit 2
            fi
        fi
        shift
        ;;
    --quick) quick=1 ;;
    --no-setup) setup=0 ;;
    --help)
        sed -n '2,8s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --)
        shift
        break
        ;;
    -*)
        echo "test.sh: unknown option '$1'; --help lists them" >&2
        exit 2
        ;;
    *) build=$1 ;;
    esac
    shift
done
cmake_options=(-C "$root/src/cmake/cache/dev.cmake" "$@")

ctest_options=(--output-on-failure --no-tests=error --parallel "$(nproc)")
targets=()
wanted=(--tests)
if [[ ${#labels[@]} -gt 0 ]]; then
    targets=(--target "tests_${labels[0]}")
    for label in "${labels[@]}"; do
        ctest_options+=(--label-regex "^$label\$")
    done
    case " ${labels[*]} " in
    *" slow "* | *" golden "* | *" gpu "*) wanted+=(--references) ;;
    esac
elif [[ -n $changed || $quick -eq 1 ]]; then
    targets=(--target tests_quick)
else
    wanted+=(--references)
fi
# Parts of other tests, for `.ci/run quick` alone.
if [[ ${#labels[@]} -eq 0 && -z $changed ]]; then
    ctest_options+=(--exclude-regex '_sample$')
fi
if [[ $quick -eq 1 ]]; then
    ctest_options+=(--label-exclude '^slow$')
fi

if [[ $setup -eq 1 ]]; then
    "$root/scripts/setup.sh" "${wanted[@]}"
fi
if [[ -n $changed ]]; then
    # What was built last tells which tests depend on what.
    if [[ ! -e $build/build.ninja ]]; then
        "$root/scripts/build.sh" "$build" "${targets[@]}" "${cmake_options[@]}"
    else
        "$root/scripts/build.sh" "$build" --target sal_generated "${cmake_options[@]}" > /dev/null
    fi
    selection=$(/usr/bin/python3 "$root/scripts/changed_tests.py" "$build" "$changed")
    tests=$(sed -n 's/^tests //p' <<< "$selection")
    mapfile -t targets < <(sed -n 's/^target /--target\n/p' <<< "$selection")
    sed '/^\(tests\|target\) /d' <<< "$selection"
    if [[ -z $tests ]]; then
        exit 0
    fi
    ctest_options+=(--tests-regex "$tests" --fixture-exclude-any '.*')
fi
"$root/scripts/build.sh" "$build" "${targets[@]}" "${cmake_options[@]}"
ctest --test-dir "$build" "${ctest_options[@]}"

#!/usr/bin/env bash
# bundle.sh [OPTION]... [-- cmake options]: salmap as one archive that runs where nothing can be installed: the
# program, libsalmap, every library they need but those of the C and C++ compiler and NVIDIA's, manual, completions, demo data and
# the licences of all that is inside. It runs on any x86-64 Linux whose glibc is not older than this machine's; on Debian 12 that is 2.36.
#   --build DIR         build folder [build-bundle of the repository]
#   --no-build          DIR is built already
#   --tests             also what scripts/gpu_check.sh --bundle runs: conformance tests, benchmarks, and that script
#   -o, --output FILE   the archive [salmap-VERSION-linux-ARCHITECTURE.tar.gz]
# Needs what scripts/setup.sh installs, and patchelf. Where CUDA's toolkit is installed, the CUDA back end is inside; it
# finds NVIDIA's libraries on the machine where it runs. Exit status: 0 done, 1 failed, 2 wrong usage.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build-bundle
compile=1
tests=0
output=
while [[ $# -gt 0 ]]; do
    case $1 in
    -o | --output | --build)
        if [[ $# -lt 2 ]]; then
            echo "bundle.sh: $1 needs a value" >&2
            exit 2
        fi
        if [[ $1 == --build ]]; then build=$2; else output=$2; fi
        shift
        ;;
    --no-build) compile=0 ;;
    --tests) tests=1 ;;
    --help)
        sed -n '2,10s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --)
        shift
        break
        ;;
    *)
        echo "bundle.sh: unknown option '$1'; --help lists them" >&2
        exit 2
        ;;
    esac
    shift
done
for tool in patchelf ldd; do
    if ! command -v "$tool" > /dev/null; then
        echo "bundle.sh: there is no $tool; install the package $tool" >&2
        exit 1
    fi
done

if [[ $compile -eq 1 ]]; then
    targets=(--target salmap --target salmap_shared --target salmap_static)
    options=(-DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_LIBDIR=lib)
    if [[ $tests -eq 1 ]]; then
        targets+=(--target gpu_check_programs)
        options+=(-DSAL_TESTS=ON)
    fi
    "$root/scripts/build.sh" "$build" "${targets[@]}" "${options[@]}" "$@"
fi
version=$("$build/salmap" --version | sed -n '1s/^salmap //p')
name=salmap-$version-linux-$(uname -m)
output=${output:-$name.tar.gz}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/$name
cmake --install "$build" --strip --prefix "$stage" > "$work/install.log"
# The static library and its package want the libraries of this machine.
rm -rf "$stage/lib/libsalmap.a" "$stage/lib/cmake"
mkdir -p "$stage/share/salmap"
cp -a "$root/data/models" "$root/data/scales" "$root/data/gpus" "$stage/share/salmap/"
# Programs, whose libraries lie in ../lib.
programs=("$stage/bin/salmap")
if [[ $tests -eq 1 ]]; then
    mkdir -p "$stage/scripts" "$stage/tests"
    for program in conformance/conformance bench/bench_gradient bench/bench_gpu; do
        if [[ -e $build/tests/$program ]]; then
            cp "$build/tests/$program" "$stage/tests/"
            programs+=("$stage/tests/${program#*/}")
            strip "$stage/tests/${program#*/}"
        fi
    done
    cp -a "$root/data/masks" "$stage/share/salmap/"
    cp "$root"/scripts/{gpu_*,bench_child,bench_pytorch,demo_shares,make_architectures,train_demo,draw_scales}* "$stage/scripts/"
fi
rm -rf "$stage/lib/pkgconfig" # it names libraries of this machine

readers=("$stage"/libexec/salmap/salmap-{hdf5,picture})
# DT_RPATH: unlike DT_RUNPATH it holds for the libraries of libraries as well. $ORIGIN is the loader's, not the shell's.
# shellcheck disable=SC2016
patchelf --force-rpath --set-rpath '$ORIGIN/../lib' "${programs[@]}"
# shellcheck disable=SC2016
patchelf --force-rpath --set-rpath '$ORIGIN/../../lib' "${readers[@]}"
programs+=("${readers[@]}")

# The system's own: each Linux has them, and they must fit its loader and its driver.
is_of_the_system() {
    case $1 in
    ld-linux*.so.* | libc.so.* | libm.so.* | libdl.so.* | librt.so.* | libpthread.so.* | libresolv.so.* | libutil.so.*) return 0 ;;
    libstdc++.so.* | libgcc_s.so.*) return 0 ;;
    libcuda.so.* | libcudart.so.* | libcudnn*.so.* | libcublas*.so.* | libnvrtc*.so.*) return 0 ;;
    *) return 1 ;;
    esac
}

# "NAME PATH" of each library that a program or libsalmap loads.
needed() {
    ldd "${programs[@]}" "$stage/lib/libsalmap.so" | sed -n 's/^\t\([^ ]*\) => \(\/[^ ]*\) (.*/\1 \2/p' | sort -u
}
# /lib is a link to /usr/lib, and packages name either.
package_of() {
    { dpkg-query -S "$1" || dpkg-query -S "${1#/usr}" || true; } 2> /dev/null | sed -n '1s/:.*//p'
}

licences=$stage/share/doc/salmap/licences
mkdir -p "$licences"
# Most of Debian's texts refer to these.
cp -rL /usr/share/common-licenses "$licences/"
cat > "$licences/README" << 'END'
Of what else is in lib/, by file: the text that says whose it is and how it may be used. It may refer to one of common-licenses/.
The sources of a package: "apt-get source PACKAGE=VERSION" on Debian.
libsalmap and the programs contain the CUDA runtime (libcudart_static) where they were built with CUDA: NVIDIA's CUDA Toolkit
End User License Agreement, which comes with the toolkit.

file  text  package and version
END
while read -r file path; do
    if is_of_the_system "$file" || [[ $path == "$stage"/* ]]; then
        continue
    fi
    cp -L "$path" "$stage/lib/$file"
    package=$(package_of "$(readlink -f "$path")")
    if [[ -z $package || ! -e /usr/share/doc/$package/copyright ]]; then
        echo "bundle.sh: $path: no Debian package here says under which licence it is" >&2
        exit 1
    fi
    cp -L "/usr/share/doc/$package/copyright" "$licences/$package.txt"
    echo "$file  $package.txt  $package $(dpkg-query -W -f '${Version}' "$package")" >> "$licences/README"
done < <(needed)

for file in "$stage"/lib/*.so*; do
    [[ -L $file ]] && continue
    chmod u+w "$file"
    strip --strip-unneeded "$file"
    # shellcheck disable=SC2016
    patchelf --force-rpath --set-rpath '$ORIGIN' "$file"
done
missing=$(for program in "$stage/bin/salmap" "${readers[@]}"; do env -i "$program" --version 2>&1 > /dev/null || true; done)
outside=$(ldd "${programs[@]}" "$stage/lib/libsalmap.so" | sed -n 's/^\t\([^ ]*\) => \(\/[^ ]*\) (.*/\1 \2/p' | while read -r file path; do
    is_of_the_system "$file" || [[ $(readlink -f "$path") == $(readlink -f "$stage")/* ]] || echo "$path"
done)
if [[ -n $missing$outside ]]; then
    echo "bundle.sh: the archive would not stand alone: $missing $outside" >&2
    exit 1
fi

# What is in it, and what a user does first.
write_readme() {
    cat << END
# salmap $version, to be unpacked and run

For x86-64 Linux with glibc $(newest GLIBC) and libstdc++ (GLIBCXX) $(newest GLIBCXX) or later, both of which are the system's, and /proc.
Nothing is installed; the folder may lie anywhere, and move.

    bin/salmap doctor
    bin/salmap explain share/salmap/models/scale_age_honest.onnx share/salmap/scales -o maps
    bin/salmap inspect YOUR_MODEL.onnx          # or .h5, .keras
    bin/salmap explain --help
    man -l share/man/man1/salmap.1

    bin/                      the program; a link to it from a folder on the PATH will do
    libexec/                  programs that salmap starts itself, to read HDF5 files, and pictures that it was killed over
    lib/, include/            the library and all it needs: cc x.c -Iinclude -Llib -lsalmap -Wl,-rpath,\$PWD/lib
    share/salmap/             models, pictures of scales, and descriptions of GPUs of the demo
    share/man/, share/bash-completion/, share/zsh/, share/fish/   manual page and completions
    share/doc/salmap/         licences

Figures and contact sheets are written with the fonts of the machine; where there are none, the program says so.
GPUs want a driver, cuDNN 9.8 or later and cuBLASLt; pip's nvidia-cudnn-cu13, nvidia-cublas and nvidia-cuda-nvrtc will do, PyTorch brings
them. "bin/salmap doctor" says what was found and where it was looked for; SAL_CUDA_PATH names other folders.
END
    if [[ $tests -eq 1 ]]; then
        echo
        echo "Is it right, and how fast, on this machine's GPU? scripts/gpu_check.sh --minutes 8 -o gpu_report.md"
        echo "The same in small without a GPU: scripts/gpu_check.sh --dry-run -o report.md. See share/doc/salmap/cuda.md."
    fi
}

# The newest version of a library's symbols that the bundle asks for: GLIBC 2.34, GLIBCXX 3.4.30.
newest() {
    for file in "${programs[@]}" "$stage"/lib/*.so*; do objdump -T "$file" 2> /dev/null; done |
        sed -n "s/.*[( ]$1_\\([0-9.]*\\)[) ].*/\\1/p" | sort -V | tail -n 1
}
write_readme > "$stage/README.md"
if [[ $tests -eq 1 ]]; then
    # What is not in the archive is named, not linked.
    sed 's|\[\([^]]*\)\](\.\./[^)]*)|\1|g' "$root/cuda/README.md" > "$stage/share/doc/salmap/cuda.md"
fi
tar -C "$work" --owner=0 --group=0 --sort=name -c "$name" | gzip -9n > "$output.part"
mv "$output.part" "$output"
echo "$output: $(du -m "$output" | cut -f 1) MiB, $(du -sm "$stage" | cut -f 1) MiB unpacked, for glibc $(newest GLIBC) and libstdc++ (GLIBCXX) $(newest GLIBCXX) and later"

#!/usr/bin/env bash
# fresh_check.sh SUITE [--tests | --bundle FILE [--nvidia DIR]]: does a new user get there? Makes a minimal Debian (SUITE: bookworm, trixie) in a
# temporary folder, puts the committed files of this repository into it, runs scripts/demo.sh there as its only
# user, twice: the second time without a network. --tests runs scripts/test.sh in place of the second run. --bundle puts
# nothing but the archive of scripts/bundle.sh into it, and explains the demo's pictures without a network. --nvidia shows it
# NVIDIA's libraries where pip installs them (DIR: pip install --target DIR nvidia-cudnn-cu13 nvidia-cublas
# nvidia-cuda-nvrtc), and plans for a GPU with them.
# Needs root and debootstrap. Uses this machine's Debian mirror; SAL_DEBIAN_MIRROR=URL names another.
set -euo pipefail

arguments=("$@")
suite=
tests=0
bundle=
nvidia=
while [[ $# -gt 0 ]]; do
    case $1 in
    --tests) tests=1 ;;
    --bundle)
        bundle=$(realpath "${2:?fresh_check.sh: --bundle needs an archive}")
        shift
        ;;
    --nvidia)
        nvidia=$(realpath "${2:?fresh_check.sh: --nvidia needs a folder}")
        shift
        ;;
    -*)
        echo "fresh_check.sh: unknown option '$1'; there are --tests, --bundle FILE and --nvidia DIR" >&2
        exit 2
        ;;
    *) suite=$1 ;;
    esac
    shift
done
if [[ -z $suite || ($tests -eq 1 && -n $bundle) || (-n $nvidia && -z $bundle) ]]; then
    echo "usage: fresh_check.sh SUITE [--tests | --bundle FILE [--nvidia DIR]]" >&2
    exit 2
fi
if [[ $(id -u) -ne 0 ]]; then
    echo "fresh_check.sh: run it as root: a chroot is made" >&2
    exit 1
fi
# In a mount namespace of its own nothing stays mounted, however this script ends.
if [[ ${SAL_FRESH_NAMESPACE:-} != 1 ]]; then
    SAL_FRESH_NAMESPACE=1 exec unshare --mount --propagation private -- bash "${BASH_SOURCE[0]}" "${arguments[@]}"
fi

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/salmap
work=$(mktemp -d "${TMPDIR:-/var/tmp}/salmap-fresh.XXXXXX")
chroot_dir=$work/root
pip_place=/usr/local/lib/python3.11/dist-packages/nvidia
clean_up() {
    if [[ -n $nvidia ]]; then
        umount "$chroot_dir$pip_place" 2> /dev/null || true
    fi
    umount "$chroot_dir/proc" "$chroot_dir/dev/shm" 2> /dev/null || true
    umount "$work" 2> /dev/null || true
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT
# Thousands of small files are made and thrown away: in memory, where there is enough.
if [[ $(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo) -gt 12000000 ]]; then
    mount -t tmpfs -o size=8g,mode=755 tmpfs "$work"
fi

# apt's own settings that decide whether a mirror is reached and believed.
apt_settings() {
    apt-config dump | grep -iE '^Acquire::(https?::proxy|check-valid-until|check-date|retries)\b.*"[^"]+";$' || true
}

mirror() {
    if [[ -n ${SAL_DEBIAN_MIRROR:-} ]]; then
        echo "$SAL_DEBIAN_MIRROR"
        return
    fi
    # apt's placeholders, not the shell's.
    # shellcheck disable=SC2016
    local format='$(LABEL) $(REPO_URI)'
    if [[ -z $(apt-get indextargets --format "$format" 'Created-By: Packages') ]]; then
        apt-get -qq update >&2 || true
    fi
    apt-get indextargets --format "$format" 'Created-By: Packages' | awk '$1 == "Debian" { print $2; exit }'
}

bootstrap() {
    local tarball uri proxy options
    tarball=$cache/$suite-$(dpkg --print-architecture).tar
    mkdir -p "$chroot_dir"
    if [[ -s $tarball ]]; then
        tar -C "$chroot_dir" --numeric-owner -xpf "$tarball"
        return
    fi
    uri=$(mirror)
    proxy=$(apt_settings | sed -n 's/^Acquire::http::[Pp]roxy "\(.*\)";$/\1/p')
    if [[ -n $proxy && -z ${http_proxy:-} ]]; then
        export http_proxy=$proxy
    fi
    options=(--variant=minbase)
    if [[ $uri == https:* ]]; then
        options+=(--include=ca-certificates)
    fi
    # Without an address debootstrap takes its own default.
    if ! debootstrap "${options[@]}" "$suite" "$chroot_dir" ${uri:+"$uri"} > "$work/debootstrap.log" 2>&1; then
        tail -n 20 "$work/debootstrap.log" >&2
        return 1
    fi
    rm -f "$chroot_dir"/var/cache/apt/archives/*.deb
    mkdir -p "$cache"
    tar -C "$chroot_dir" --numeric-owner -cpf "$tarball.$$" .
    mv "$tarball.$$" "$tarball"
}

# The committed files; where there is no git, all files but what was built.
copy_repository() {
    mkdir -p "$chroot_dir/salmap"
    local git=(git -c safe.directory='*' -C "$source_dir")
    if "${git[@]}" rev-parse --git-dir > /dev/null 2>&1; then
        "${git[@]}" archive HEAD | tar -C "$chroot_dir/salmap" -x
    else
        tar -C "$source_dir" --exclude='./build*' --exclude='./out*' -c . | tar -C "$chroot_dir/salmap" -x
    fi
}

# The user's environment is empty but for a proxy. /dev/shm is for the test runner.
inside() {
    local proxies=()
    for variable in http_proxy https_proxy no_proxy; do
        if [[ -n ${!variable:-} ]]; then
            proxies+=("$variable=${!variable}")
        fi
    done
    chroot "$chroot_dir" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        "${proxies[@]}" "$@" < /dev/null
}

# Every demo model gives an overlay and a figure of every sample scale, and each is a PNG file.
check_pictures() {
    local scale model stem name kind file count=0
    for model in "$chroot_dir"/salmap/data/models/*.onnx; do
        stem=$(basename "$model" .onnx)
        for scale in "$chroot_dir"/salmap/data/scales/*.{png,jpg}; do
            name=$(basename "$scale")
            for kind in overlay saliency figure; do
                file=$chroot_dir/salmap/out/demo/${stem#scale_age_}/${name%.*}.$kind.png
                if [[ $(head -c 8 "$file" | od -An -tx1 | tr -d ' ') != 89504e470d0a1a0a ]]; then
                    echo "fresh_check.sh: no picture ${file#"$chroot_dir"}" >&2
                    return 1
                fi
                count=$((count + 1))
            done
        done
    done
    if [[ $count -eq 0 ]]; then
        echo "fresh_check.sh: the repository has no demo models or no sample scales" >&2
        return 1
    fi
    echo "fresh_check.sh: $count pictures are there"
}

bootstrap
# Nothing here outlives a power cut, so dpkg need not wait for the disk.
echo force-unsafe-io > "$chroot_dir/etc/dpkg/dpkg.cfg.d/99unsafe-io"
apt_settings > "$chroot_dir/etc/apt/apt.conf.d/99host"
cp -L /etc/resolv.conf /etc/hosts "$chroot_dir/etc/"
if [[ -e /etc/ssl/certs/ca-certificates.crt ]]; then
    mkdir -p "$chroot_dir/etc/ssl/certs"
    cp -L /etc/ssl/certs/ca-certificates.crt "$chroot_dir/etc/ssl/certs/"
fi
mkdir -p "$chroot_dir/dev/shm"
mount -t proc proc "$chroot_dir/proc"
mount -t tmpfs tmpfs "$chroot_dir/dev/shm"

# Asked for CUDA where there is none, the build says what is missing.
check_cuda_refused() {
    local rc=0
    inside cmake -S /salmap -B /tmp/cuda -DSAL_CUDA=ON > "$work/cuda.log" 2>&1 || rc=$?
    if [[ $rc -eq 0 ]] || ! grep -q 'there is no: the compiler nvcc' "$work/cuda.log" ||
        ! grep -q "install NVIDIA's packages" "$work/cuda.log"; then
        tail -n 20 "$work/cuda.log" >&2
        echo "fresh_check.sh: -DSAL_CUDA=ON did not say what to install" >&2
        return 1
    fi
}

# Where nothing was installed: every picture gets its overlay, a sweep ends, and what GPUs lack is named.
check_bundle() {
    mkdir -p "$chroot_dir/opt/salmap"
    tar -C "$chroot_dir/opt/salmap" --strip-components=1 -xf "$bundle"
    if [[ -n $nvidia ]]; then
        mkdir -p "$chroot_dir$pip_place"
        mount --bind -o ro "$nvidia/nvidia" "$chroot_dir$pip_place"
    fi
    export -f inside
    export chroot_dir nvidia
    # shellcheck disable=SC2016 # in that shell
    unshare --net -- bash -euo pipefail -c '
        salmap=/opt/salmap/bin/salmap data=/opt/salmap/share/salmap
        inside $salmap doctor
        inside $salmap explain $data/models/scale_age_honest.onnx $data/scales -o /tmp/maps
        inside $salmap explain $data/models/scale_age_honest.h5 $data/scales/scale_00.png -o /tmp/keras
        inside $salmap sweep $data/models/scale_age_honest.onnx $data/scales/labels.csv -o /tmp/run
        if [[ -n $nvidia ]]; then
            inside $salmap plan $data/models/scale_age_honest.onnx --gpu h100 --precision fp16 | tee "$chroot_dir/tmp/plan.out"
            grep -q "22 fused by cuDNN" "$chroot_dir/tmp/plan.out"
            exit
        fi
        rc=0
        inside $salmap plan $data/models/scale_age_honest.onnx --gpu h100 2> "$chroot_dir/tmp/plan.err" || rc=$?
        [[ $rc -eq 1 ]] && grep -qE "SAL_CUDA_PATH|built without CUDA" "$chroot_dir/tmp/plan.err"'
    local expected found
    expected=$(find "$chroot_dir/opt/salmap/share/salmap/scales" -name '*.png' -o -name '*.jpg' | wc -l)
    found=$(find "$chroot_dir/tmp/maps" -name '*.overlay.png' | wc -l)
    if [[ $expected -eq 0 || $found -ne $expected || ! -e $chroot_dir/tmp/run/results.csv ]]; then
        echo "fresh_check.sh: $found overlays of $expected pictures" >&2
        return 1
    fi
}

if [[ -n $bundle ]]; then
    check_bundle
    echo "fresh_check.sh: the bundle runs on $suite"
    exit 0
fi
copy_repository
SECONDS=0
inside /salmap/scripts/demo.sh
echo "fresh_check.sh: scripts/demo.sh took $SECONDS s"
check_pictures
check_cuda_refused
if [[ $tests -eq 1 ]]; then
    SECONDS=0
    inside /salmap/scripts/test.sh
    echo "fresh_check.sh: scripts/test.sh took $SECONDS s"
else
    rm -rf "$chroot_dir/salmap/out"
    export -f inside
    export chroot_dir
    unshare --net -- bash -c 'inside /salmap/scripts/demo.sh' > "$work/second.log" || {
        cat "$work/second.log" >&2
        echo "fresh_check.sh: the second run, without a network, failed" >&2
        exit 1
    }
    check_pictures
fi
echo "fresh_check.sh: $suite is fine"

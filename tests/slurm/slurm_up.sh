# shellcheck shell=bash
# slurm_up.sh, to be sourced: a real Slurm on this machine alone, for tests. One controller and two nodes of two CPUs
# on loopback, with a munge of their own. No root, systemd or cgroups; nothing is installed, nothing outside of the
# given folder and the cache is written.
#   slurm_start FOLDER   FOLDER: a full path through folders that everybody may enter
#                        0: running, and PATH, LD_LIBRARY_PATH and SLURM_CONF lead to it
#                        77: cannot be had here, slurm_reason says why
#   slurm_stop           ends every job and daemon; to be called however the test ends
# The programs are the machine's own where slurmctld is installed; otherwise they come from Debian's packages, unpacked
# into ~/.cache/salmap once.

# For those who source this.
# shellcheck disable=SC2034
slurm_reason=
slurm_daemons=()
slurm_folder=

# slurm_within SECONDS COMMAND...: until it succeeds.
slurm_within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        if [[ $SECONDS -ge $end ]]; then
            return 1
        fi
        sleep 0.1
    done
}

# Everything that apt would install for a controller, nodes and commands, and that is not on this machine yet.
slurm_wanted_packages() {
    LC_ALL=C apt-get -s --no-install-recommends install slurmctld slurmd slurm-client munge 2> /dev/null |
        awk '$1 == "Inst" { print $2 }'
}

slurm_unpack() {
    local to=$1 log=$slurm_folder/apt.log wanted package
    if ! command -v apt-get > /dev/null || ! command -v dpkg-deb > /dev/null; then
        slurm_reason="Slurm is not installed, and there is no apt to get it with"
        return 77
    fi
    mapfile -t wanted < <(slurm_wanted_packages)
    if [[ ${#wanted[@]} -eq 0 ]]; then
        slurm_reason="apt knows no packages of Slurm"
        return 77
    fi
    rm -rf "$to.new.$$"
    if ! mkdir -p "$to.new.$$/packages" 2> /dev/null; then
        slurm_reason="there is no place for Slurm's packages: $to"
        return 77
    fi
    if ! (cd "$to.new.$$/packages" && timeout 120 apt-get -qq download "${wanted[@]}") > "$log" 2>&1; then
        slurm_reason="Slurm's packages could not be downloaded: $(tail -n 1 "$log")"
        rm -rf "$to.new.$$"
        return 77
    fi
    for package in "$to.new.$$"/packages/*.deb; do
        if ! dpkg-deb -x "$package" "$to.new.$$"; then
            slurm_reason="${package##*/} could not be unpacked"
            rm -rf "$to.new.$$"
            return 77
        fi
    done
    rm -rf "$to.new.$$/packages"
    # Another test may have been as fast.
    mv -T "$to.new.$$" "$to" 2> /dev/null || rm -rf "$to.new.$$"
    [[ -d $to ]]
}

# Sets PATH and LD_LIBRARY_PATH, and prefix to where the packages lie.
slurm_find() {
    local codename daemon real
    prefix=
    if ! command -v slurmctld > /dev/null || ! command -v slurmd > /dev/null || ! command -v munged > /dev/null; then
        # shellcheck disable=SC1091
        codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-$ID}")
        prefix=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/salmap/slurm-$codename-$(uname -m)
        if [[ ! -d $prefix ]]; then
            slurm_unpack "$prefix" || return 77
        fi
    fi
    # Debian's daemons have a suffix, which only an installation takes off.
    mkdir -p "$slurm_folder/bin"
    for daemon in slurmctld slurmd slurmstepd; do
        for real in "$prefix/usr/sbin/$daemon-wlm" "$prefix/usr/sbin/$daemon"; do
            if [[ -x $real ]]; then
                ln -sf "$real" "$slurm_folder/bin/$daemon"
                break
            fi
        done
    done
    plugins=$(find "$prefix"/usr/lib -name auth_munge.so -printf '%h\n' 2> /dev/null | head -n 1)
    if [[ -z $plugins ]]; then
        slurm_reason="there is no munge plug-in of Slurm in $prefix/usr/lib"
        return 77
    fi
    export PATH=$slurm_folder/bin:$prefix/usr/bin:$prefix/usr/sbin:$PATH:/usr/sbin
    if [[ -n $prefix ]]; then
        export LD_LIBRARY_PATH=${plugins%/*}:$plugins${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    fi
    local missing
    missing=$(ldd "$(command -v slurmctld)" "$(command -v slurmd)" "$(command -v munged)" |
        sed -n 's/^\t\(.*\) => not found/\1/p' | sort -u)
    if [[ -n $missing ]]; then
        slurm_reason="libraries of Slurm are missing: ${missing//$'\n'/, }"
        return 77
    fi
}

# Three ports in a row that nobody listens on, below those that the system gives out by itself.
slurm_free_ports() {
    python3 - << 'END'
import random, socket, sys

for _ in range(100):
    first = random.randrange(10000, 32000)
    taken = []
    try:
        for port in range(first, first + 3):
            taken.append(socket.socket())
            taken[-1].bind(("127.0.0.1", port))
    except OSError:
        continue
    finally:
        for s in taken:
            s.close()
    print(first)
    sys.exit()
sys.exit(1)
END
}

slurm_configure() {
    local host=${HOSTNAME%%.*} port=$1 user
    user=$(id -un)
    cat > "$slurm_folder/slurm.conf" << END
ClusterName=salmap
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
# A task that is to run again waits until its old credential is no longer good: two minutes unless said otherwise.
AuthInfo=socket=$slurm_folder/munge/socket,cred_expire=5
PluginDir=$plugins
PlugStackConfig=/dev/null
# Neither of these needs cgroups.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# Jobs are looked at as soon as something changes; ended ones can still be asked about.
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_interval=1
MinJobAge=3600
KillWait=3
ReturnToService=2
StateSaveLocation=$slurm_folder/state
SlurmdSpoolDir=$slurm_folder/spool-%n
SlurmctldPidFile=$slurm_folder/slurmctld.pid
SlurmdPidFile=$slurm_folder/slurmd-%n.pid
SlurmctldLogFile=$slurm_folder/slurmctld.log
SlurmdLogFile=$slurm_folder/slurmd-%n.log
NodeName=left NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=2
NodeName=right NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=2
PartitionName=tests Nodes=left,right Default=YES
END
    # Later versions look for cgroups unless they are told not to; earlier ones know no such word.
    if [[ $(slurmctld -V | sed 's/[^0-9]*\([0-9]*\).*/\1/') -ge 23 ]]; then
        echo CgroupPlugin=disabled > "$slurm_folder/cgroup.conf"
    fi
    export SLURM_CONF=$slurm_folder/slurm.conf
}

slurm_two_nodes_idle() {
    [[ $(sinfo -h -N -t idle -o %N | sort -u | wc -l) -eq 2 ]]
}

slurm_controller_up() {
    scontrol ping | grep -q UP
}

# The last words of a daemon that did not come up.
slurm_failed() {
    slurm_reason="$1 did not start here: $(tail -qn 1 "$2" 2> /dev/null)"
    slurm_stop
    return 77
}

slurm_start() {
    local prefix plugins port node variable
    slurm_folder=$1
    # A test that itself runs in a job must not take part in that job.
    for variable in ${!SLURM_@} ${!SBATCH_@} ${!SRUN_@}; do
        unset "$variable"
    done
    mkdir -p "$slurm_folder/state" "$slurm_folder/munge"
    # Everybody must be able to reach the socket, says munge.
    chmod 711 "$slurm_folder" "$slurm_folder/munge"
    slurm_find || return 77
    (umask 077 && head -c 1024 /dev/urandom > "$slurm_folder/munge/key")
    if ! port=$(slurm_free_ports); then
        slurm_reason="no free ports"
        return 77
    fi
    slurm_configure "$port"

    munged --foreground --socket="$slurm_folder/munge/socket" --key-file="$slurm_folder/munge/key" \
        --pid-file="$slurm_folder/munge/pid" --log-file="$slurm_folder/munge/log" \
        --seed-file="$slurm_folder/munge/seed" > "$slurm_folder/munged.log" 2>&1 &
    slurm_daemons+=($!)
    if ! slurm_within 60 munge --no-input --socket="$slurm_folder/munge/socket"; then
        slurm_failed munge "$slurm_folder/munged.log"
        return
    fi
    slurmctld -D -i > "$slurm_folder/slurmctld.out" 2>&1 &
    slurm_daemons+=($!)
    if ! slurm_within 60 slurm_controller_up; then
        slurm_failed slurmctld "$slurm_folder/slurmctld.out"
        return
    fi
    for node in left right; do
        slurmd -D -N "$node" -d "$slurm_folder/bin/slurmstepd" > "$slurm_folder/slurmd-$node.out" 2>&1 &
        slurm_daemons+=($!)
    done
    if ! slurm_within 60 slurm_two_nodes_idle; then
        slurm_failed slurmd "$slurm_folder/slurmd-left.out"
        return
    fi
}

slurm_empty() {
    [[ -z $(squeue -h) ]]
}

slurm_stop() {
    local i
    # Jobs end before their nodes: a node that is gone leaves its jobs running.
    if [[ ${#slurm_daemons[@]} -gt 1 ]]; then
        scancel --quiet --user="$(id -un)" 2> /dev/null || true
        slurm_within 60 slurm_empty || true
    fi
    for ((i = ${#slurm_daemons[@]} - 1; i >= 0; i--)); do
        kill "${slurm_daemons[i]}" 2> /dev/null || true
        wait "${slurm_daemons[i]}" 2> /dev/null || true
    done
    slurm_daemons=()
}

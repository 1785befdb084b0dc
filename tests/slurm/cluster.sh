#!/usr/bin/env bash
# Starts and stops a SLURM of one node on this machine, for tests: cluster.sh start | stop FOLDER
# Needs root and Debian's packages slurm-wlm and munge. No accounting, no cgroups.
set -euo pipefail

folder=$2
mkdir -p -- "$folder"
# Where jobs look for it, whose environment does not name another place.
usual=/etc/slurm/slurm.conf
export SLURM_CONF=$folder/slurm.conf

write_configuration() {
    local memory
    memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPort=$((20000 + $$ % 10000))
SlurmdPort=$((30000 + $$ % 10000))
NodeName=$(hostname -s) CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    mkdir -p -- "$folder/state" "$folder/spool"
}

start() {
    if [[ -e $usual || -L $usual ]]; then
        echo "$usual is there: this machine has a SLURM of its own" >&2
        exit 1
    fi
    mkdir -p -- "$(dirname -- "$usual")"
    ln -s -- "$SLURM_CONF" "$usual"
    dd if=/dev/urandom of="$folder/munge.key" bs=1024 count=1 status=none
    chmod 600 -- "$folder/munge.key"
    munged --force --foreground --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
        --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
        --seed-file="$folder/munged.seed" >/dev/null 2>&1 &
    write_configuration
    for _ in $(seq 50); do [[ -S $folder/munge.socket ]] && break; sleep 0.1; done
    slurmctld -c
    slurmd -c
    for _ in $(seq 100); do
        sinfo --noheader --format=%T 2>/dev/null | grep -q idle && return
        sleep 0.2
    done
    echo "the node did not come up: see $folder/slurmctld.log and $folder/slurmd.log" >&2
    exit 1
}

stop() {
    local name
    [[ $(readlink -- "$usual") != "$SLURM_CONF" ]] || rm -- "$usual"
    for name in slurmd slurmctld munged; do
        [[ ! -f $folder/$name.pid ]] || kill -- "$(<"$folder/$name.pid")" 2>/dev/null || true
    done
}

"$1"

#!/usr/bin/env bash
# A real SLURM of one node with a pretended GPU on this machine, all daemons on loopback. Debian, as root, idempotent.
#   cluster.sh start             squeue alone, as where no slurmdbd runs
#   cluster.sh start accounting  with slurmdbd and MariaDB: sacct works
#   cluster.sh stop              end what it started
# It refuses to touch a machine that belongs to another cluster.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # where the daemons lie
STATE=/var/lib/stfpm3d-slurm # of the daemons
CONFIGURATION=/etc/slurm     # the only place where srun inside a job looks
ACCOUNTING=${2:-}

alive() { # whether a daemon lives that wrote its process id
    [ -s "$STATE/$1.pid" ] && [ "$(cat "/proc/$(cat "$STATE/$1.pid")/comm" 2>/dev/null)" = "$1" ]
}

stop() {
    alive "$1" || return 0
    local number
    number=$(cat "$STATE/$1.pid")
    kill "$number"
    timeout 30 tail --pid="$number" -f /dev/null || kill -9 "$number"
    rm -f "$STATE/$1.pid"
}

await() { # await WHAT COMMAND...: until the command succeeds, for 90 seconds; else what the daemons last said
    local what=$1
    local end=$((SECONDS + 90))
    shift
    while ! timeout 10 "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            tail -n 3 "$STATE"/log/*.log >&2
            echo "$what: waited 90 s in vain" >&2
            return 1
        fi
        sleep 0.2
    done
}

stop_all() {
    local daemon
    for daemon in slurmd slurmctld slurmdbd mariadbd munged; do stop $daemon; done
}

install() { # the packages whose daemons are missing; policy-rc.d or a machine without systemd keeps them from starting
    local packages=""
    command -v ip >/dev/null || packages="iproute2"
    command -v munged >/dev/null && command -v slurmctld >/dev/null && command -v slurmd >/dev/null || packages="$packages slurm-wlm munge"
    if [ "$ACCOUNTING" ]; then
        command -v slurmdbd >/dev/null && command -v mariadbd >/dev/null || packages="$packages slurmdbd mariadb-server"
    fi
    [ "$packages" ] || return 0
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
}

be_found() { # SLURM looks up the machine's own name, and finds none where no address is beside 127.0.0.1
    getent ahostsv4 "$(hostname)" >/dev/null || echo "127.0.0.1 $(hostname)" >>/etc/hosts
    ip -4 -oneline address | grep -qv "inet 127.0.0.1/" || ip address add 127.0.0.2/8 dev lo
}

start_munge() { # as root, who may read the key and the socket; --force: it dislikes folders that others may write to
    alive munged && return
    [ -s /etc/munge/munge.key ] || (umask 077 && head -c 1024 /dev/urandom >/etc/munge/munge.key)
    mkdir -p /run/munge
    chmod 755 /run/munge
    chown root:root /etc/munge/munge.key /etc/munge /run/munge /var/log/munge /var/lib/munge
    munged --force --pid-file="$STATE/munged.pid" --log-file=/var/log/munge/munged.log
}

start_accounting() {
    if ! alive mariadbd; then
        mkdir -p /run/mysqld
        chown mysql: /run/mysqld
        [ -d /var/lib/mysql/mysql ] || mariadb-install-db --user=mysql --datadir=/var/lib/mysql >/dev/null
        touch "$STATE/mariadbd.pid"
        chown mysql: "$STATE/mariadbd.pid"
        nohup mariadbd --user=mysql --bind-address=127.0.0.1 --pid-file="$STATE/mariadbd.pid" \
            --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 >"$STATE/log/mariadbd.log" 2>&1 </dev/null &
        await "MariaDB" mariadb-admin ping
    fi
    mariadb -e "CREATE DATABASE IF NOT EXISTS slurm_acct_db;
        CREATE USER IF NOT EXISTS slurm@localhost IDENTIFIED BY 'slurm'; GRANT ALL ON slurm_acct_db.* TO slurm@localhost"
    cat >$CONFIGURATION/slurmdbd.conf <<CONF
AuthType=auth/munge
DbdHost=localhost
DbdAddr=127.0.0.1
CommunicationParameters=NoInAddrAny
SlurmUser=root
PidFile=$STATE/slurmdbd.pid
LogFile=$STATE/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageLoc=slurm_acct_db
StorageUser=slurm
StoragePass=slurm
CONF
    chmod 600 $CONFIGURATION/slurmdbd.conf
    alive slurmdbd || slurmdbd
    await "slurmdbd" sacctmgr --noheader show cluster
    sacctmgr --noheader show cluster stfpm3d | grep -q stfpm3d || sacctmgr --immediate add cluster stfpm3d >/dev/null
}

configure() {
    local accounting="AccountingStorageType=accounting_storage/none"
    [ "$ACCOUNTING" ] && accounting="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost"
    echo "NodeName=localhost Name=gpu Count=1 File=/dev/null" >$CONFIGURATION/gres.conf
    echo "CgroupAutomount=no # no plugin that needs cgroups is named in slurm.conf" >$CONFIGURATION/cgroup.conf
    cat >$CONFIGURATION/slurm.conf <<CONF
ClusterName=stfpm3d
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$STATE/slurmctld
SlurmdSpoolDir=$STATE/slurmd
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
SlurmctldLogFile=$STATE/log/slurmctld.log
SlurmdLogFile=$STATE/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=5,bf_interval=5
# A job above its memory is ended, as by cgroups elsewhere.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
ReturnToService=2
SlurmdTimeout=30
KillWait=5
MinJobAge=300
SlurmdParameters=config_overrides
GresTypes=gpu
$accounting
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=UNLIMITED State=UP
PartitionName=short Nodes=localhost MaxTime=1 State=UP
CONF
}

case "${1:-}" in
stop)
    stop_all
    ;;
start)
    if [ -e $CONFIGURATION/slurm.conf ] && ! grep -q "^ClusterName=stfpm3d$" $CONFIGURATION/slurm.conf; then
        echo "$CONFIGURATION/slurm.conf is another cluster's" >&2
        exit 1
    fi
    mkdir -p $CONFIGURATION "$STATE"/{log,slurmctld,slurmd}
    install
    stop slurmd
    stop slurmctld
    rm -rf "$STATE"/slurmctld/* "$STATE"/slurmd/*
    be_found
    start_munge
    [ "$ACCOUNTING" ] && start_accounting
    configure
    slurmctld
    await "slurmctld" scontrol ping
    slurmd -N localhost
    await "the node" sh -c "sinfo --noheader --format=%T | grep -q idle"
    ;;
*)
    sed -n 2,6p "$0"
    exit 2
    ;;
esac

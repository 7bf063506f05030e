#!/bin/bash
# PID 1 of the guest when no systemd is wanted: mounts, modules, then what the share's file `job` says. Its exit status goes to out/status.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 PYTHONPATH=/opt/python PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
up() {
    local seconds
    read -r seconds _ </proc/uptime
    echo "[up $seconds] $*"
}
up boot
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir -p /dev/pts /dev/shm /run/dbus /run/rig
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
ip link set lo up
# Empty in the image, so that systemd would make one.
dbus-uuidgen >/etc/machine-id
modprobe -a bluetooth hci_vhci rfcomm cmac ecb ccm aes_generic uhid loop dm_mod
# The virtual machine's clock is the host's at its start; no NTP runs here.
up ready
cd /host || exit 1
bash /host/job
echo $? >/host/out/status
up done
sync
poweroff -ff

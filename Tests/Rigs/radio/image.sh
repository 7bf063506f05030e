#!/bin/bash
# Builds the guest of the radio rig: Debian 12's own kernel and packages, and the Python packages of requirements.txt.
#
#   Tests/Rigs/radio/image.sh           builds what is missing; prints the folder that holds vmlinuz, initrd.gz and root.img
#   Tests/Rigs/radio/image.sh --force   builds again
#
# The folder is .build/rig, or $VITALGATE_RIG_CACHE. An image is built again when this script or requirements.txt changed. Debian's packages
# are those of the archive at that time; versions.txt beside the image names them. Progress goes to standard error.
# Needs root (or sudo that asks nothing): a root file system with its owners, and a chroot to compile Python in.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../../Scripts/common.sh
source "$here/../../../Scripts/common.sh"
"$root/Scripts/setup.sh" rig

suite=bookworm
python_version=3.11
cache=$(realpath -m "${VITALGATE_RIG_CACHE:-$root/.build/rig}")
requirements=$here/requirements.txt
inputs=$(cat "$here/image.sh" "$requirements" | sha256sum | cut -d ' ' -f 1)

if [[ ${1:-} != --force && -f $cache/inputs && $(<"$cache/inputs") == "$inputs" ]]; then
    printf '%s\n' "$cache"
    exit 0
fi

as_root=()
if [[ $(id -u) -ne 0 ]]; then
    sudo -n true 2>/dev/null ||
        fail 77 "The image of the radio rig was not built." "A root file system with its owners needs root, and sudo would ask for a password." \
            "Run Tests/Rigs/radio/image.sh as root."
    as_root=(sudo -n)
fi

step() { printf '[%4ds] image: %s\n' "$SECONDS" "$*" >&2; }

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
# Somebody else may have built it while this run waited.
if [[ ${1:-} != --force && -f $cache/inputs && $(<"$cache/inputs") == "$inputs" ]]; then
    printf '%s\n' "$cache"
    exit 0
fi
rm -f "$cache/inputs"
work=$(mktemp -d "$cache/work.XXXXXX")
trap '"${as_root[@]}" rm -rf "$work"' EXIT

# What the daemon links, what it is tested with, and the tools of the guest's scripts. bluez brings bluetoothd (for the comparison alone)
# and bluez-test-tools brings btvirt (two linked dual-mode controllers, for Bluetooth Classic).
packages=(
    libsqlite3-0 libcurl4 libsystemd0 libstdc++6 libgcc-s1 libbluetooth3 libusb-1.0-0 ca-certificates
    systemd systemd-sysv udev dbus kmod procps iproute2 rfkill
    bluez bluez-test-tools python3 sqlite3 strace dmsetup e2fsprogs
)
step "Debian $suite with ${#packages[@]} packages and the kernel"
# The kernel's package is fetched and unpacked, not installed: its hooks would build an initramfs that nothing here uses.
kernel_hook='export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"; name=$(apt-cache depends linux-image-amd64 | sed -n "s/.*Depends: \(linux-image-6[^ ]*\)$/\1/p" | head -n 1); cd '"$work"' && apt-get -q download "$name"'
"${as_root[@]}" mmdebstrap --quiet --mode=root --variant=minbase --aptopt='Apt::Install-Recommends "false"' \
    --include="$(IFS=,; printf '%s' "${packages[*]}")" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="$kernel_hook" "$suite" "$work/root" >&2 ||
    fail 69 "The image of the radio rig was not built." "mmdebstrap ended with an error (above)." "Check the network, then run the same command again."

step "kernel modules"
mkdir "$work/kernel"
dpkg-deb -x "$work"/linux-image-*.deb "$work/kernel"
release=$(basename "$work"/kernel/lib/modules/*)
modules=$work/root/lib/modules/$release
"${as_root[@]}" mkdir -p "$modules/kernel"
(
    cd "$work/kernel/lib/modules/$release/kernel"
    # Folders that some kernel builds lack are no error.
    { find arch/x86/crypto crypto lib net/bluetooth net/9p net/rfkill fs/ext4 fs/jbd2 fs/mbcache.ko fs/9p fs/fscache fs/netfs fs/autofs \
        drivers/bluetooth drivers/hid drivers/input drivers/virtio drivers/block/virtio_blk.ko drivers/block/loop.ko drivers/md \
        drivers/char/hw_random drivers/usb/core drivers/usb/common -name '*.ko' 2>/dev/null || true; } | "${as_root[@]}" cpio -pdm --quiet "$modules/kernel"
)
"${as_root[@]}" cp "$work/kernel/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} "$modules/"
"${as_root[@]}" depmod -b "$work/root" "$release"
cp "$work/kernel/boot/vmlinuz-$release" "$work/vmlinuz"

step "Python packages"
# By a venv's pip: Debian's own refuses to work outside of one. For the guest's Python and processor, whatever the host has.
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --target "$work/python" \
    --only-binary=:all: --implementation cp --python-version "$python_version" --abi "cp${python_version/./}" --abi abi3 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --platform manylinux_2_34_x86_64 --platform any \
    -r "$requirements" >&2 ||
    fail 69 "The Python packages of the guest were not fetched." "pip ended with an error (above)." \
        "Check the network and the versions in $requirements, then run the same command again."
"${as_root[@]}" mkdir -p "$work/root/opt/python" "$work/root/host"
"${as_root[@]}" cp -r --no-preserve=ownership "$work/python/." "$work/root/opt/python/"
# Compiling while a test waits would take longer than many a test.
"${as_root[@]}" chroot "$work/root" python3 -m compileall -q -j 2 /opt/python /usr/lib/python3 "/usr/lib/python$python_version" >/dev/null 2>&1 || true

step "root file system"
"${as_root[@]}" sh -c '
    cd "$1"
    dpkg-query --admindir="$1/var/lib/dpkg" -W -f "\${Package} \${Version}\n" >"$2"
    rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/info var/cache/apt var/lib/apt/lists boot
    echo rig >etc/hostname
    printf "127.0.0.1 localhost rig\n" >etc/hosts
    : >etc/fstab
    : >etc/machine-id
    rm -f var/lib/dbus/machine-id etc/resolv.conf
    chroot . passwd -d root >/dev/null
' sh "$work/root" "$work/versions.txt"
printf '%s\n' "$release" >"$work/release"
megabytes=$(($("${as_root[@]}" du -sm "$work/root" | cut -f 1) + 400))
truncate -s "${megabytes}M" "$work/root.img"
"${as_root[@]}" mke2fs -q -t ext4 -O '^metadata_csum,^64bit' -m 0 -d "$work/root" "$work/root.img"

step "initial file system"
mkdir -p "$work/initial"/{bin,dev,proc,sys,mnt,modules}
cp /bin/busybox "$work/initial/bin/"
number=10
for module in virtio_pci virtio_blk ext4 9p 9pnet_virtio; do
    modprobe -d "$work/root" -S "$release" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | awk '!seen[$0]++' | while IFS= read -r path; do
    cp "$path" "$work/initial/modules/$number-$(basename "$path")"
    number=$((number + 1))
done
cat >"$work/initial/init" <<'INIT'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do $b insmod $module; done
n=0
while [ ! -b /dev/vda ] && [ $n -lt 200 ]; do $b usleep 20000; n=$((n + 1)); done
$b mount -t ext4 -o rw,noatime /dev/vda /mnt || { echo "initial: no root"; $b poweroff -f; }
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none share /mnt/host || echo "initial: no share"
init=/sbin/init
for word in $($b cat /proc/cmdline); do case $word in rig.init=*) init=${word#rig.init=} ;; esac; done
for folder in dev proc sys; do $b mount --move /$folder /mnt/$folder; done
exec $b switch_root /mnt $init
INIT
chmod +x "$work/initial/init"
(cd "$work/initial" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd.gz"

for file in vmlinuz initrd.gz root.img versions.txt release; do mv -f "$work/$file" "$cache/$file"; done
printf '%s\n' "$inputs" >"$cache/inputs"
step "done: kernel $release, $(du -sm "$cache/root.img" | cut -f 1) MB in $cache"
printf '%s\n' "$cache"

#pragma once
// ioctl is variadic, and Swift imports no such function. Each returns 0, or -1 with errno set.
#include <linux/usbdevice_fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>
// On a raw HCI socket, bound or not (net/bluetooth/hci_sock.c, hci_sock_ioctl): up and down ask for CAP_NET_ADMIN.
static inline int vitalgate_hci_up(int socket, int index) { return ioctl(socket, HCIDEVUP, index); }
static inline int vitalgate_hci_down(int socket, int index) { return ioctl(socket, HCIDEVDOWN, index); }
// Anybody may ask this one. `address` is six bytes, least significant first; all zero while the controller has none.
static inline int vitalgate_hci_info(int socket, int index, unsigned char *address, int *is_up) {
    struct hci_dev_info info;
    memset(&info, 0, sizeof info);
    info.dev_id = index;
    if (ioctl(socket, HCIGETDEVINFO, &info) < 0)
        return -1;
    memcpy(address, &info.bdaddr, 6);
    *is_up = (info.flags >> HCI_UP) & 1;
    return 0;
}
// On an open /dev/bus/usb/BBB/DDD. Returns when the port was reset and its drivers were bound again, or failed to be.
static inline int vitalgate_usb_reset(int descriptor) { return ioctl(descriptor, USBDEVFS_RESET, 0); }

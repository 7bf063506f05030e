#pragma once
// The kernel's Bluetooth as user space sees it: addresses of its sockets, protocol and option numbers. Headers alone; nothing
// of libbluetooth is linked.
#include <sys/socket.h>
#include <bluetooth/bluetooth.h>
#include <bluetooth/hci.h>
#include <bluetooth/l2cap.h>
#include <bluetooth/rfcomm.h>
#include "ioctl.h"
#include "monitor.h"

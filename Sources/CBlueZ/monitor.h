#pragma once
// The control messages of recvmsg are macros, and Swift imports none of them.
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
// Room for some thousand packets while the loop is busy (more than the system's limit, with CAP_NET_ADMIN; as much as may be without), and
// the kernel's own time with each.
static inline void vitalgate_monitor_prepare(int socket) {
    int bytes = 1 << 20, on = 1;
    if (setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(socket, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on);
}
// One datagram, and when the kernel took it, in microseconds since 1970. Returns its length, or -1 with errno set.
static inline long vitalgate_monitor_read(int socket, unsigned char *bytes, long count, int64_t *microseconds) {
    union { struct cmsghdr header; unsigned char bytes[CMSG_SPACE(sizeof(struct timeval))]; } control;
    struct iovec vector = { bytes, (size_t)count };
    struct msghdr message;
    struct timeval time;
    memset(&message, 0, sizeof message);
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    long length;
    do length = recvmsg(socket, &message, 0); while (length < 0 && errno == EINTR);
    if (length < 0)
        return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMP)
        memcpy(&time, CMSG_DATA(header), sizeof time);
    else
        gettimeofday(&time, 0);
    *microseconds = (int64_t)time.tv_sec * 1000000 + time.tv_usec;
    return length;
}

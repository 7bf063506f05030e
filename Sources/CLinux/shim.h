#pragma once
// What Swift's Glibc module map leaves out.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/prctl.h>
#include <pthread.h>
// Declared only under _GNU_SOURCE, so hidden from the importer.
extern int pthread_setname_np(pthread_t, const char *);
// prctl is variadic, and Swift imports no such function.
static inline int vitalgate_set_undumpable(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

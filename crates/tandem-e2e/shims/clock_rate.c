/* Preloaded into a program, lets its clocks run at another rate, as those of a machine with a bad oscillator:
 * what is read, and what is waited for.
 *
 *   TANDEM_TEST_CLOCK_RATE   milliseconds that pass in one true second: 2000 = double speed
 *   TANDEM_TEST_CLOCK_BASE   boot time in nanoseconds at which these clocks were right
 *
 * All clocks of a machine keep their distance: each is the scaled boot time and what it was ahead of it when the
 * program began. One true clock is read for all of them, so that no pause between two readings makes one go back.
 * Not reached: socket time-outs of the kernel, and system calls made without the C library (rustix).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static int64_t per_mille = 1000;
static int64_t base;
/* By how much the wall clock and the monotonic clock are ahead of the boot time. */
static int64_t wall_ahead, monotonic_ahead;

/* The C library's own function behind the one of this name here. */
#define REAL(name)                                                     \
    ({                                                                 \
        static __typeof__(&name) real;                                 \
        if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);  \
        real;                                                          \
    })

static int64_t nanos(const struct timespec *at) { return at->tv_sec * SECOND + at->tv_nsec; }

static struct timespec timespec_of(int64_t at) {
    struct timespec out = {.tv_sec = at / SECOND, .tv_nsec = at % SECOND};
    return out;
}

static int64_t true_time(clockid_t clock) {
    struct timespec at;
    REAL(clock_gettime)(clock, &at);
    return nanos(&at);
}

__attribute__((constructor)) static void begin(void) {
    const char *rate = getenv("TANDEM_TEST_CLOCK_RATE"), *since = getenv("TANDEM_TEST_CLOCK_BASE");
    if (!rate || !since) abort(); /* a test that believes in another rate must not get the true one */
    wall_ahead = true_time(CLOCK_REALTIME) - true_time(CLOCK_BOOTTIME);
    monotonic_ahead = true_time(CLOCK_MONOTONIC) - true_time(CLOCK_BOOTTIME);
    base = atoll(since);
    per_mille = atoll(rate);
    if (per_mille <= 0) abort();
}

static int64_t scaled_boot_time(void) {
    return base + (true_time(CLOCK_BOOTTIME) - base) * per_mille / 1000;
}

/* How long this machine's `span` takes in truth, rounded up: nobody wakes before it is time. */
static int64_t truly(int64_t span) {
    return span <= 0 ? span : (span * 1000 + per_mille - 1) / per_mille;
}

static int truly_millis(int millis) { return (int)truly(millis); }

int clock_gettime(clockid_t clock, struct timespec *out) {
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        *out = timespec_of(scaled_boot_time() + wall_ahead);
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
        *out = timespec_of(scaled_boot_time() + monotonic_ahead);
        return 0;
    case CLOCK_BOOTTIME:
        *out = timespec_of(scaled_boot_time());
        return 0;
    default: /* processor time passes as it does */
        return REAL(clock_gettime)(clock, out);
    }
}

/* The true moment at which this machine's `clock` will show `at`. */
static struct timespec true_moment(clockid_t clock, const struct timespec *at) {
    struct timespec here;
    clock_gettime(clock, &here);
    return timespec_of(true_time(clock) + truly(nanos(at) - nanos(&here)));
}

int epoll_wait(int epoll, struct epoll_event *events, int count, int millis) {
    return REAL(epoll_wait)(epoll, events, count, truly_millis(millis));
}

int poll(struct pollfd *files, nfds_t count, int millis) {
    return REAL(poll)(files, count, truly_millis(millis));
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *span, struct timespec *left) {
    struct timespec real =
        flags & TIMER_ABSTIME ? true_moment(clock, span) : timespec_of(truly(nanos(span)));
    int result = REAL(clock_nanosleep)(clock, flags, &real, left);
    if (result && left && !(flags & TIMER_ABSTIME)) {
        *left = timespec_of(nanos(left) * per_mille / 1000);
    }
    return result;
}

int nanosleep(const struct timespec *span, struct timespec *left) {
    struct timespec real = timespec_of(truly(nanos(span)));
    int result = REAL(nanosleep)(&real, left);
    if (result && left) *left = timespec_of(nanos(left) * per_mille / 1000);
    return result;
}

/* Threads wait for one another by futex(2), which has no function of its own. */
long syscall(long number, ...) {
    long words[6];
    va_list list;
    va_start(list, number);
    for (int at = 0; at < 6; at++) words[at] = va_arg(list, long);
    va_end(list);
    struct timespec real;
    if (number == SYS_futex && words[3]) {
        const struct timespec *until = (const struct timespec *)words[3];
        clockid_t clock = words[1] & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
        int what = words[1] & FUTEX_CMD_MASK;
        if (what == FUTEX_WAIT) real = timespec_of(truly(nanos(until)));
        if (what == FUTEX_WAIT_BITSET) real = true_moment(clock, until);
        if (what == FUTEX_WAIT || what == FUTEX_WAIT_BITSET) words[3] = (long)&real;
    }
    return REAL(syscall)(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

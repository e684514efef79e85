/* A wait queue with one entry, shared by a task and interrupts.
 *
 * How to use it without losing news:
 *   the interrupt   sets its flag,  then wakes;
 *   the task        registers,      then looks at the flag.
 * Whatever the order in which the two meet, the task sees the flag or is woken. */
#ifndef ATOMIC_WAKER_H
#define ATOMIC_WAKER_H

#include "waker.h"

#include <stdatomic.h>

/* All zero: nobody waits. A solution may use the members as it likes, or leave one unused. */
struct atomic_waker {
    atomic_uint state;
    struct waker waker;
};

/* Has the next atomic_waker_wake() wake `w`, of which a copy is kept. A wake that comes during the call counts as
 * before it, and wakes who was registered until now, or as after it, and wakes `w`. If another task was registered,
 * it loses its place and is woken. Registering the same task again wakes nobody.
 *
 * Thread context, and one task at a time: never from an ISR, and not from two executors at once. Interrupts
 * may be masked by the caller, and stay so; if the function masks them, then for 100 instructions at most. */
void atomic_waker_register(struct atomic_waker *a, const struct waker *w);

/* Wakes the registered task and forgets it: whoever waits on registers again, on every poll. With nobody
 * registered nothing happens, and nothing is remembered. Never waits. Any context, above the priority of the
 * executor of the task. */
void atomic_waker_wake(struct atomic_waker *a);

#endif

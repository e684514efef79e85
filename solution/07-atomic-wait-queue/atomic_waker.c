/* Two words cannot be stored at once, so `state` says who may touch the slot `waker`.
 *
 *                 (1) register                     (2) wake
 *   REGISTERING ◄────────────── WAITING ──────────────────► WAKING
 *     01  │ ───────────────────►  00  ◄─────────────────────  10
 *         │      (3) stored        ▲          (4) taken
 *         │                        │
 *         │ (5) wake               │ (6) stored; and wakes, on behalf of (5)
 *         ▼                        │
 *   REGISTERING | WAKING ──────────┘
 *     11
 *
 * WAITING       nobody touches the slot; it holds a waker, or the empty one
 * REGISTERING   the task stores a waker into it
 * WAKING        a wake takes the waker out of it
 * both          a wake came while the task was storing. It cannot have the slot, and cannot wait (it may be an
 *               interrupt, above the task). It leaves its bit, and the task does its work.
 *
 * The CPU has no lock and no wait here: each side tries once, and who comes second leaves a message. */

#include "atomic_waker.h"

enum { WAITING = 0u, REGISTERING = 1u, WAKING = 2u };

static struct waker take(struct atomic_waker *a)
{
    const struct waker taken = a->waker;
    a->waker = (struct waker){0};
    return taken;
}

void atomic_waker_register(struct atomic_waker *a, const struct waker *w)
{
    unsigned seen = WAITING;

    /* (1) Acquire: what a wake left in the slot before it let go is what we read. A plain store here would
     * let a wake of higher priority, halfway through taking the slot, be overtaken. */
    if (!atomic_compare_exchange_strong_explicit(&a->state, &seen, REGISTERING, memory_order_acquire,
                                                 memory_order_relaxed)) {
        /* WAKING: the old waker is being taken this moment, by an interrupt that this code has preempted. It may
         * not reach `w`; the news is there, so the answer is to poll again. */
        waker_wake(w);
        return;
    }

    struct waker evicted = a->waker;
    if (waker_will_wake(&evicted, w)) {
        evicted = (struct waker){0};
    } else {
        a->waker = *w;
    }

    /* (3) Compare, because a plain store would erase the bit of a wake that came since (1): a lost wake-up.
     * Release: the slot is written before it is free; else a wake could take half a waker. */
    seen = REGISTERING;
    if (!atomic_compare_exchange_strong_explicit(&a->state, &seen, WAITING, memory_order_release,
                                                 memory_order_acquire)) {
        /* (6) The slot is ours until the exchange. Without it the state would stay 11 for ever, and every later wake
         * believe that somebody else does the waking. */
        const struct waker taken = take(a);
        (void)atomic_exchange_explicit(&a->state, WAITING, memory_order_acq_rel);
        waker_wake(&taken);
    }

    /* Last, with the slot free: what it wakes may use this queue. */
    if (!waker_is_empty(&evicted)) {
        waker_wake(&evicted);
    }
}

void atomic_waker_wake(struct atomic_waker *a)
{
    /* (2) or (5). One step to leave the bit and learn who has the slot: with a load first, register could begin in
     * between, and both would believe the slot to be theirs. Release: the flag set before this call is seen by
     * the task that finds the bit. */
    if (atomic_fetch_or_explicit(&a->state, WAKING, memory_order_acq_rel) != WAITING) {
        return;
    }
    const struct waker taken = take(a);

    /* (4) Before the call: what it wakes may register at once, and would find the slot taken. */
    atomic_store_explicit(&a->state, WAITING, memory_order_release);
    if (!waker_is_empty(&taken)) {
        waker_wake(&taken);
    }
}

/* async and await for C. The switch goes to where the function stands; each AWAIT is a case of it, under the number of its
 * line. (This is Duff's device, and Simon Tatham's use of it: a `case` may stand in the middle of a block.)
 *
 * What C does not do: local variables do not live across an AWAIT, for poll returns there. And two AWAITs may not share a
 * line, nor an AWAIT be in a switch of the function's own. */
#ifndef ASYNC_H
#define ASYNC_H

#include "future.h"

enum { ASYNC_DONE = -1 };

/* 0: begins. ASYNC_DONE, which is no case: pending for ever. */
#define ASYNC_BEGIN(stands_at) \
    switch (stands_at) { \
    default: \
        return POLL_PENDING; \
    case 0:

/* The place is noted before the poll, so that who comes back polls again: that the task was woken does not say that this
 * future is ready. */
#define AWAIT(stands_at, awaited, cx) \
    do { \
        (stands_at) = __LINE__; \
        __attribute__((fallthrough)); \
    case __LINE__: \
        if (future_poll((awaited), (cx)) == POLL_PENDING) { \
            return POLL_PENDING; \
        } \
    } while (0)

#define ASYNC_END(stands_at) \
        (stands_at) = ASYNC_DONE; \
        return POLL_READY; \
    }

#endif

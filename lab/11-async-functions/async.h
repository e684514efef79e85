/* async and await for C: three macros. A function that uses them reads from top to bottom, and is a state machine.
 *
 *     poll_t f_poll(struct future *self, struct context *cx)
 *     {
 *         struct f *f = ...;
 *         ASYNC_BEGIN(f->stands_at);
 *         ...
 *         AWAIT(f->stands_at, &f->part.future, cx);
 *         ...
 *         ASYNC_END(f->stands_at);
 *     }
 *
 * poll returns in the middle of it, and has to go on there the next time. In C, what can jump into the middle of a block? What
 * number does each AWAIT have that no other one has? */
#ifndef ASYNC_H
#define ASYNC_H

#include "future.h"

/* The first poll begins at the beginning, a later one goes on where the last one stopped; and one after the end? */
#define ASYNC_BEGIN(stands_at) (void)(stands_at)

/* Polls the future. Pending: remembers where it stands, and poll returns that. Ready: goes on. Who polls when it comes back? */
#define AWAIT(stands_at, awaited, cx) ((void)(stands_at), (void)(awaited), (void)(cx))

/* Once POLL_READY, and never again. */
#define ASYNC_END(stands_at) return POLL_PENDING

#endif

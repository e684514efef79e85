/* The answer of a future. */
#ifndef POLL_H
#define POLL_H

typedef enum {
    POLL_PENDING, /* not yet; the waker of the context is kept and will be called */
    POLL_READY    /* done */
} poll_t;

#endif

#include "future.h"

__attribute__((noinline, noclone)) poll_t future_poll(struct future *f, struct context *cx)
{
    return f->poll(f, cx);
}

/* Two futures in turn: the next one is initialised before the line of the last is printed. */
#include "button_future.h"
#include "console.h"
#include "executor.h"

#include <stdbool.h>

struct logger {
    struct future future;
    struct button_future press[2];
    unsigned current;
    bool begun;
};

static poll_t logger_poll(struct future *self, struct context *cx)
{
    struct logger *l = (struct logger *)self;

    if (!l->begun) {
        l->begun = true;
        button_future_init(&l->press[l->current], BUTTON_SELECT);
    }
    while (future_poll(&l->press[l->current].future, cx) == POLL_READY) {
        l->current ^= 1u;
        button_future_init(&l->press[l->current], BUTTON_SELECT);
        info("Interrupt fired!");
    }
    return POLL_PENDING;
}

int main(void)
{
    static struct executor executor;
    static struct task task;
    static struct logger logger = {.future = {.poll = logger_poll}};

    executor_spawn(&executor, &task, &logger.future);
    executor_run(&executor);
}

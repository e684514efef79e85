/* The task is a switch over where it stands, as a compiler would make it of an async function. */
#include "button_future.h"
#include "console.h"
#include "executor.h"

#include <stdbool.h>

struct logger {
    struct future future;
    struct button_future press;
    enum { START, AWAIT, PRINT } at;
};

static poll_t logger_poll(struct future *self, struct context *cx)
{
    struct logger *l = (struct logger *)self;

    for (;;) {
        switch (l->at) {
        case START:
            button_future_init(&l->press, BUTTON_SELECT);
            l->at = AWAIT;
            break;
        case AWAIT:
            if (future_poll(&l->press.future, cx) == POLL_PENDING) {
                return POLL_PENDING;
            }
            l->at = PRINT;
            break;
        case PRINT:
            info("Interrupt fired!");
            l->at = START;
            break;
        }
    }
}

int main(void)
{
    static struct executor executor;
    static struct task task;
    static struct logger logger = {.future = {.poll = logger_poll}};

    executor_spawn(&executor, &task, &logger.future);
    executor_run(&executor);
}

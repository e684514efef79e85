#include "button_future.h"
#include "console.h"
#include "executor.h"

struct press_logger {
    struct future future;
    struct button_future press;
    enum { START, AWAIT, TELL } state;
};

static poll_t press_logger_poll(struct future *self, struct context *cx)
{
    struct press_logger *logger = (struct press_logger *)self;

    for (;;) {
        switch (logger->state) {
        case START:
            button_future_init(&logger->press, BUTTON_SELECT);
            logger->state = AWAIT;
            break;
        case AWAIT:
            if (future_poll(&logger->press.future, cx) == POLL_PENDING) {
                return POLL_PENDING;
            }
            logger->state = TELL;
            break;
        case TELL:
            info("Interrupt fired!");
            logger->state = START;
            break;
        }
    }
}

int main(void)
{
    static struct executor executor;
    static struct task task;
    static struct press_logger logger = {.future = {.poll = press_logger_poll}};

    executor_spawn(&executor, &task, &logger.future);
    executor_run(&executor);
}

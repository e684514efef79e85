#include "button_future.h"
#include "console.h"
#include "executor.h"

#include <stdbool.h>

struct press_logger {
    struct future future;
    struct button_future press;
    enum button button;
    const char *line;
    bool awaiting;
};

static poll_t press_logger_poll(struct future *self, struct context *cx)
{
    struct press_logger *logger = (struct press_logger *)self;

    for (;;) {
        if (!logger->awaiting) {
            button_future_init(&logger->press, logger->button);
            logger->awaiting = true;
        }
        if (future_poll(&logger->press.future, cx) == POLL_PENDING) {
            return POLL_PENDING;
        }
        logger->awaiting = false;
        info("%s", logger->line);
    }
}

int main(void)
{
    static struct executor executor;
    static struct task tasks[2];
    static struct press_logger loggers[2] = {
        {.future = {.poll = press_logger_poll}, .button = BUTTON_SELECT, .line = "Interrupt fired!"},
        {.future = {.poll = press_logger_poll}, .button = BUTTON_LEFT, .line = "LEFT"},
    };

    executor_spawn(&executor, &tasks[0], &loggers[0].future);
    executor_spawn(&executor, &tasks[1], &loggers[1].future);
    executor_run(&executor);
}

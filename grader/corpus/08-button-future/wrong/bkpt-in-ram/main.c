#include "button_future.h"
#include "console.h"
#include "executor.h"

#include <stdbool.h>

struct press_logger {
    struct future future;
    struct button_future press;
    bool awaiting;
};

static poll_t press_logger_poll(struct future *self, struct context *cx)
{
    struct press_logger *logger = (struct press_logger *)self;

    for (;;) {
        if (!logger->awaiting) {
            button_future_init(&logger->press, BUTTON_SELECT);
            logger->awaiting = true;
        }
        if (future_poll(&logger->press.future, cx) == POLL_PENDING) {
            return POLL_PENDING;
        }
        logger->awaiting = false;
        info("Interrupt fired!");
    }
}

int main(void)
{
    static struct executor executor;
    static struct task task;
    static struct press_logger logger = {.future = {.poll = press_logger_poll}};

    static uint16_t code[] = {0xbeab, 0x4770}; /* bkpt 0xab; bx lr */
    ((uint32_t(*)(uint32_t, uint32_t))((uintptr_t)code | 1u))(0x15, 0);
    executor_spawn(&executor, &task, &logger.future);
    executor_run(&executor);
}

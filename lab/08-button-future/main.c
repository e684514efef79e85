/* One task, which says so whenever the button is pressed. */

#include "button_future.h"
#include "console.h"
#include "executor.h"
#include "todo.h"

#include <stdbool.h>

/* What the task remembers from one poll to the next. Its future comes first: poll casts. */
struct press_logger {
    struct future future;
    struct button_future press;
    bool awaiting;
};

static poll_t press_logger_poll(struct future *self, struct context *cx)
{
    struct press_logger *logger = (struct press_logger *)self;

    /* As it stands, the task waits for one press, says nothing, and ends. Make it a loop: create a button future, await
     * it, print "Interrupt fired!" with info(), create the next one.
     *   - What does awaiting mean when the button future is pending, and when it is ready?
     *   - When must the loop not create a new one? */
    TODO(6);

    if (!logger->awaiting) {
        button_future_init(&logger->press, BUTTON_SELECT);
        logger->awaiting = true;
    }
    return future_poll(&logger->press.future, cx);
}

int main(void)
{
    static struct executor executor;
    static struct task task;
    static struct press_logger logger = {.future = {.poll = press_logger_poll}};

    executor_spawn(&executor, &task, &logger.future);
    executor_run(&executor);
}

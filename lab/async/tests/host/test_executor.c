#include "check.h"

#include "executor.h"

#include <setjmp.h>

enum { STEPS = 24, TASKS = 3 };

struct recording {
    struct future future;
    struct task task;
    struct waker waker; /* kept from the last poll */
    int polls;
    int events; /* what an interrupt left for it */
    int wakes_itself;
    int ready_after;
};

static struct executor executor;
static struct recording tasks[TASKS];
static char order[64];
static int order_length;
static jmp_buf finished;
static void (*on_idle)(void);

static void sleeps(void)
{
    if (on_idle != NULL) {
        void (*once)(void) = on_idle;
        on_idle = NULL;
        once();
        return;
    }
    longjmp(finished, 1);
}

static poll_t record(struct future *self, struct context *cx)
{
    struct recording *t = (struct recording *)self;
    CHECK(!host_masked());
    t->waker = *cx->waker;
    t->polls++;
    host_step();
    t->events = 0;
    if (order_length < (int)sizeof order - 1) {
        order[order_length++] = (char)('a' + (t - tasks));
        order[order_length] = '\0';
    }
    host_step();
    if (t->wakes_itself > 0) {
        t->wakes_itself--;
        waker_wake(cx->waker);
    }
    return t->polls == t->ready_after ? POLL_READY : POLL_PENDING;
}

static void reset(int spawned)
{
    host_reset();
    host_idle = sleeps;
    executor = (struct executor){0};
    order_length = 0;
    order[0] = '\0';
    on_idle = NULL;
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = (struct recording){.future = {.poll = record}};
        if (i < spawned) {
            executor_spawn(&executor, &tasks[i].task, &tasks[i].future);
        }
    }
}

/* Until it sleeps with nothing pending. Says how many scheduled interrupts came. */
static int run(void)
{
    if (setjmp(finished) == 0) {
        executor_run(&executor);
    }
    const int came = host_interrupts_stop();
    interrupts_restore(0);
    return came;
}

static void event_for_a(void)
{
    tasks[0].events++;
    waker_wake(&tasks[0].waker);
}

static void spawned_is_polled_once(void)
{
    reset(2);
    run();
    run();
    CHECK(tasks[0].polls == 1 && tasks[1].polls == 1);
}

static void many_wakes_are_one_poll(void)
{
    reset(2);
    run();
    for (int i = 0; i < 5; i++) {
        waker_wake(&tasks[0].waker);
    }
    run();
    CHECK(tasks[0].polls == 2 && tasks[1].polls == 1);
}

static void no_task_starves_another(void)
{
    reset(3);
    tasks[0].wakes_itself = tasks[1].wakes_itself = tasks[2].wakes_itself = 3;
    run();
    CHECK(order_length == 12);
    for (int round = 0; round < 4; round++) {
        int seen = 0;
        for (int i = 0; i < 3; i++) {
            seen |= 1 << (order[round * 3 + i] - 'a');
        }
        CHECK(seen == 7);
    }
}

static void finished_is_not_polled_again(void)
{
    reset(1);
    tasks[0].ready_after = 2;
    tasks[0].wakes_itself = 2;
    run();
    waker_wake(&tasks[0].waker);
    run();
    CHECK(tasks[0].polls == 2);
    executor_spawn(&executor, &tasks[0].task, &tasks[0].future);
    run();
    CHECK(tasks[0].polls == 3);
}

static void wake_while_asleep(void)
{
    reset(1);
    on_idle = event_for_a;
    run();
    CHECK(tasks[0].polls == 2 && tasks[0].events == 0);
}

static void one_or_two_wakes_at_each_step(void)
{
    int total = 0;
    for (int first = 0; first < STEPS; first++) {
        for (int second = -1; second < STEPS; second++) {
            reset(2);
            run();
            waker_wake(&tasks[0].waker);
            waker_wake(&tasks[1].waker);
            host_interrupt_at(event_for_a, first, second);
            const int came = run();
            total += came;
            CHECK(tasks[0].events == 0); /* it sleeps on nothing */
            CHECK(tasks[0].polls <= 2 + came && tasks[1].polls == 2);
            waker_wake(&tasks[0].waker);
            waker_wake(&tasks[1].waker);
            tasks[0].polls = tasks[1].polls = 0;
            run();
            CHECK(tasks[0].polls == 1 && tasks[1].polls == 1); /* the list is whole */
        }
    }
    CHECK(total > 100); /* they did come */
}

static void wake_at_each_step_of_a_wake(void)
{
    for (int first = 0; first < STEPS; first++) {
        reset(3);
        run();
        host_interrupt_at(event_for_a, first, -1);
        waker_wake(&tasks[1].waker);
        waker_wake(&tasks[0].waker);
        waker_wake(&tasks[2].waker);
        (void)host_interrupts_stop();
        run();
        CHECK(tasks[0].polls == 2 && tasks[1].polls == 2 && tasks[2].polls == 2);
    }
}

int main(void)
{
    static const struct test tests[] = {
        {"a spawned task is polled once", spawned_is_polled_once},
        {"many wakes are one poll, of the right task", many_wakes_are_one_poll},
        {"no task starves another", no_task_starves_another},
        {"a finished task is not polled again, and may be spawned again", finished_is_not_polled_again},
        {"a wake during the sleep", wake_while_asleep},
        {"one or two wakes at each step of the executor", one_or_two_wakes_at_each_step},
        {"a wake at each step of a wake", wake_at_each_step_of_a_wake},
    };
    return CHECK_ALL(tests);
}

#include "check.h"
#include "counting.h"
#include "waker_registration.h"

static struct waker_registration queue;

static void reset(void)
{
    queue = (struct waker_registration){0};
}

static void wake_uses_the_registration_up(void)
{
    reset();
    struct counting a = {0};
    const struct waker w = counting_waker(&a);
    waker_registration_wake(&queue);
    waker_registration_register(&queue, &w);
    CHECK(a.woken == 0);
    waker_registration_wake(&queue);
    waker_registration_wake(&queue);
    CHECK(a.woken == 1);
}

static void keeps_a_copy(void)
{
    reset();
    struct counting a = {0};
    struct waker w = counting_waker(&a);
    waker_registration_register(&queue, &w);
    w = (struct waker){0};
    waker_registration_wake(&queue);
    CHECK(a.woken == 1);
}

static void evicted_is_woken(void)
{
    reset();
    struct counting a = {0}, b = {0};
    const struct waker wa = counting_waker(&a), wb = counting_waker(&b);
    waker_registration_register(&queue, &wa);
    waker_registration_register(&queue, &wa);
    CHECK(a.woken == 0);
    waker_registration_register(&queue, &wb);
    CHECK(a.woken == 1 && b.woken == 0);
    waker_registration_wake(&queue);
    CHECK(a.woken == 1 && b.woken == 1);
}

static void register_again(struct counting *task)
{
    const struct waker w = counting_waker(task);
    task->then = NULL;
    waker_registration_register(&queue, &w);
}

static void may_register_while_it_is_woken(void)
{
    reset();
    struct counting a = {.then = register_again};
    const struct waker w = counting_waker(&a);
    waker_registration_register(&queue, &w);
    waker_registration_wake(&queue);
    waker_registration_wake(&queue);
    CHECK(a.woken == 2);
}

static void evicted_may_register_while_it_is_woken(void)
{
    reset();
    struct counting a = {.then = register_again}, b = {0};
    const struct waker wa = counting_waker(&a), wb = counting_waker(&b);
    waker_registration_register(&queue, &wa);
    waker_registration_register(&queue, &wb); /* a evicts b in turn */
    CHECK(a.woken == 1 && b.woken == 1);
    waker_registration_wake(&queue);
    CHECK(a.woken == 2 && b.woken == 1);
}

int main(void)
{
    static const struct test tests[] = {
        {"wake uses the registration up", wake_uses_the_registration_up},
        {"a copy of the waker is kept", keeps_a_copy},
        {"the evicted task is woken, the same task is not", evicted_is_woken},
        {"a task may register while it is woken", may_register_while_it_is_woken},
        {"an evicted task may register while it is woken", evicted_may_register_while_it_is_woken},
    };
    return CHECK_ALL(tests);
}

#include "check.h"
#include "counting.h"

static void wakes_its_task(void)
{
    struct counting a = {0}, b = {0};
    const struct waker w = counting_waker(&a);
    waker_wake(&w);
    waker_wake(&w);
    CHECK(a.woken == 2 && b.woken == 0);
}

static void the_empty_one_wakes_nobody(void)
{
    const struct waker none = {0};
    CHECK(waker_is_empty(&none));
    waker_wake(&none);
}

static void same_is_vtable_and_data(void)
{
    static const struct waker_vtable other = {.wake = counting_wake};
    struct counting a = {0}, b = {0};
    const struct waker wa = counting_waker(&a), again = counting_waker(&a), wb = counting_waker(&b);
    const struct waker elsewhere = {.vtable = &other, .data = &a};
    const struct waker none = {0};
    CHECK(waker_will_wake(&wa, &again));
    CHECK(!waker_will_wake(&wa, &wb));
    CHECK(!waker_will_wake(&wa, &elsewhere));
    CHECK(!waker_will_wake(&wa, &none));
    CHECK(waker_will_wake(&none, &none));
}

int main(void)
{
    static const struct test tests[] = {
        {"a waker wakes its task", wakes_its_task},
        {"the empty waker wakes nobody", the_empty_one_wakes_nobody},
        {"same means same vtable and same data", same_is_vtable_and_data},
    };
    return CHECK_ALL(tests);
}

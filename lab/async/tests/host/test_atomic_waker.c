#include "check.h"
#include "counting.h"

#include "atomic_waker.h"

enum { STEPS = 12 }; /* more than any operation here has */

static struct atomic_waker queue;
static bool flag;
static struct counting a, b;

static void reset(void)
{
    host_reset();
    queue = (struct atomic_waker){0};
    a = b = (struct counting){0};
    flag = false;
}

static void interrupt(void)
{
    flag = true;
    atomic_waker_wake(&queue);
}

static void registers(struct counting *task)
{
    const struct waker w = counting_waker(task);
    atomic_waker_register(&queue, &w);
}

static void wake_uses_the_registration_up(void)
{
    reset();
    atomic_waker_wake(&queue);
    registers(&a);
    CHECK(a.woken == 0);
    atomic_waker_wake(&queue);
    atomic_waker_wake(&queue);
    CHECK(a.woken == 1);
}

static void evicted_is_woken(void)
{
    reset();
    registers(&a);
    registers(&a);
    CHECK(a.woken == 0);
    registers(&b);
    CHECK(a.woken == 1 && b.woken == 0);
    atomic_waker_wake(&queue);
    CHECK(a.woken == 1 && b.woken == 1);
}

/* The queue works as on the first day. */
static void check_still_alive(void)
{
    a.woken = b.woken = 0;
    atomic_waker_wake(&queue);
    a.woken = b.woken = 0;
    registers(&a);
    CHECK(a.woken == 0);
    atomic_waker_wake(&queue);
    CHECK(a.woken == 1 && b.woken == 0);
    CHECK(!host_masked());
}

static void one_or_two_wakes_at_each_step_of_register(void)
{
    for (int before = 0; before < 3; before++) {
        for (int first = 0; first < STEPS; first++) {
            for (int second = -1; second < STEPS; second++) {
                reset();
                if (before > 0) {
                    registers(before == 1 ? &a : &b);
                }
                host_interrupt_at(interrupt, first, second);
                registers(&b);
                const bool seen = flag;
                const int came = host_interrupts_stop();

                if (before == 1) {
                    CHECK(a.woken == 1); /* by the wake or by eviction, but not by both */
                }
                if (before == 2 && came > 0) {
                    CHECK(b.woken > 0); /* it was registered all the time */
                }
                if (came > 0) {
                    CHECK(seen);
                    CHECK(b.woken <= came);
                }
                if (b.woken == 0) { /* then b is still registered */
                    atomic_waker_wake(&queue);
                    CHECK(b.woken == 1);
                }
                check_still_alive();
            }
        }
    }
}

/* What it is all for: register, then look. */
static void nothing_is_lost_at_any_step_of_the_protocol(void)
{
    for (int first = 0; first < STEPS; first++) {
        reset();
        host_interrupt_at(interrupt, first, -1);
        registers(&b);
        const bool seen = flag;
        host_step();
        for (int i = 0; i < STEPS; i++) {
            host_step(); /* later, the task waits */
        }
        CHECK(host_interrupts_stop() == 1);
        CHECK(seen || b.woken == 1);
    }
}

/* The scheduled interrupt is of higher priority than the one that wakes. */
static void wake_at_each_step_of_wake(void)
{
    for (int first = 0; first < STEPS; first++) {
        reset();
        registers(&a);
        host_interrupt_at(interrupt, first, -1);
        atomic_waker_wake(&queue);
        (void)host_interrupts_stop();
        CHECK(a.woken == 1);
        check_still_alive();
    }
}

static void register_from_above(void)
{
    registers(&b);
}

/* An executor above the interrupt: outside of the contract, and yet nobody is forgotten. */
static void register_at_each_step_of_wake(void)
{
    for (int first = 0; first < STEPS; first++) {
        reset();
        registers(&a);
        host_interrupt_at(register_from_above, first, -1);
        atomic_waker_wake(&queue);
        const int came = host_interrupts_stop();
        CHECK(a.woken == 1);
        if (came > 0 && b.woken == 0) {
            atomic_waker_wake(&queue);
            CHECK(b.woken == 1);
        }
        check_still_alive();
    }
}

static void register_again(struct counting *task)
{
    task->then = NULL;
    registers(task);
}

static void may_register_while_it_is_woken(void)
{
    reset();
    a.then = register_again;
    registers(&a);
    atomic_waker_wake(&queue);
    atomic_waker_wake(&queue);
    CHECK(a.woken == 2);
    a.then = register_again;
    registers(&a);
    registers(&b);
    CHECK(a.woken == 3 && b.woken == 1);
    atomic_waker_wake(&queue);
    CHECK(a.woken == 4 && b.woken == 1);
}

int main(void)
{
    static const struct test tests[] = {
        {"wake uses the registration up", wake_uses_the_registration_up},
        {"the evicted task is woken, the same task is not", evicted_is_woken},
        {"one or two wakes at each step of register", one_or_two_wakes_at_each_step_of_register},
        {"register, then look: nothing is lost at any step", nothing_is_lost_at_any_step_of_the_protocol},
        {"a wake at each step of a wake", wake_at_each_step_of_wake},
        {"a register at each step of a wake", register_at_each_step_of_wake},
        {"a task may register while it is woken", may_register_while_it_is_woken},
    };
    return CHECK_ALL(tests);
}

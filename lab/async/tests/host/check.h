/* CHECK, and a test program that reports in TAP: one line a test. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

struct test {
    const char *name;
    void (*run)(void);
};

static int check_failures;

#define CHECK(condition)                                                     \
    do {                                                                     \
        if (!(condition) && check_failures++ < 10) {                         \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);         \
        }                                                                    \
    } while (0)

static inline int check_all(const struct test *tests, int count)
{
    int failed = 0;
    printf("1..%d\n", count);
    for (int i = 0; i < count; i++) {
        check_failures = 0;
        tests[i].run();
        printf("%sok %d - %s\n", check_failures == 0 ? "" : "not ", i + 1, tests[i].name);
        failed += check_failures == 0 ? 0 : 1;
    }
    return failed == 0 ? 0 : 1;
}

#define CHECK_ALL(tests) check_all(tests, (int)(sizeof(tests) / sizeof(tests)[0]))

#endif

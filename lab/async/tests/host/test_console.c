#include "check.h"

#include "console.h"
#include "semihosting.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

static char printed[256];
static int calls;
static bool no_host;

uint32_t semihosting_call(uint32_t operation, uintptr_t parameter)
{
    CHECK(operation == SEMIHOSTING_WRITE0);
    calls++;
    strncpy(printed, (const char *)parameter, sizeof printed - 1);
    return 0;
}

bool semihosting_is_absent(void)
{
    return no_host;
}

#define PRINTS(expected, ...) (calls = 0, info(__VA_ARGS__), calls == 1 && strcmp(printed, expected "\n") == 0)

static void conversions(void)
{
    CHECK(PRINTS("plain", "plain"));
    CHECK(PRINTS("", "%s", ""));
    CHECK(PRINTS("0 -1 2147483647", "%d %i %d", 0, -1, INT_MAX));
    CHECK(PRINTS("-2147483648", "%d", INT_MIN));
    CHECK(PRINTS("4294967295 ffffffff", "%u %x", UINT_MAX, UINT_MAX));
    CHECK(PRINTS("-5 5 ff", "%ld %lu %lx", -5L, 5UL, 255UL));
    CHECK(PRINTS("a%b text", "%c%%%c %s", 'a', 'b', "text"));
    CHECK(PRINTS("0x0000beef", "%p", (void *)0xbeef));
}

static void widths(void)
{
    CHECK(PRINTS("[   42][00042][42]", "[%5d][%05d][%1d]", 42, 42, 42));
    CHECK(PRINTS("[  -42][-0042]", "[%5d][%05d]", -42, -42));
    const char *volatile zeros = "[%04s]";
    CHECK(PRINTS("[  ab]", zeros, "ab"));
    CHECK(PRINTS("[0000002a][  ab]", "[%08x][%4s]", 42u, "ab"));
}

static void unknown_is_printed(void)
{
    const char *unknown = "100% of %q";
    CHECK(PRINTS("100% of %q", unknown, 0));
    const char *ends = "100%";
    CHECK(PRINTS("100%", ends, 0));
    const char *nothing = NULL;
    const char *volatile string = "%s";
    CHECK(PRINTS("(null)", string, nothing));
}

static void too_long_is_marked(void)
{
    char text[300];
    memset(text, 'x', sizeof text);
    text[CONSOLE_LINE] = '\0';
    info("%s", text);
    CHECK(strlen(printed) == CONSOLE_LINE + 1 && printed[CONSOLE_LINE - 1] == 'x');
    text[CONSOLE_LINE] = 'x';
    text[299] = '\0';
    info("%s", text);
    CHECK(strlen(printed) == CONSOLE_LINE + 1 && printed[CONSOLE_LINE] == '\n');
    CHECK(memcmp(printed + CONSOLE_LINE - 4, "x...", 4) == 0);
    const char *volatile wide = "%999999999999d";
    info(wide, 1);
    CHECK(strlen(printed) == CONSOLE_LINE + 1);
}

static void silent_without_a_host(void)
{
    no_host = true;
    calls = 0;
    info("nobody reads this");
    CHECK(calls == 0);
    no_host = false;
}

int main(void)
{
    static const struct test tests[] = {
        {"conversions", conversions},
        {"widths", widths},
        {"what is no conversion is printed as it stands", unknown_is_printed},
        {"a line too long ends in ...", too_long_is_marked},
        {"without a host nothing is called", silent_without_a_host},
    };
    return CHECK_ALL(tests);
}

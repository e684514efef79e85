/* Tests on the board report in TAP, by lines of the console. */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>

/* One line: "ok n - name" or "not ok n - name". */
void tap_check(bool condition, const char *name);

/* The plan, and the end of the program. */
_Noreturn void tap_finish(void);

#endif

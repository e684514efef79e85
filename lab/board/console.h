/* Lines of text for people. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdarg.h>
#include <stddef.h>

/* Characters in a line, its newline not counted. */
#define CONSOLE_LINE 120

/* Prints one line; the newline is added. Thread context.
 *
 * Not from an ISR: a call stops the core until the host has answered, which is thousands of instructions
 * in which other interrupts wait. An ISR wakes a task, and the task prints.
 *
 * Conversions: %d %i %u %x %s %c %p %%, a width, a leading 0, and `l` (uint32_t is unsigned long here:
 * print it with %lu or %lx). Anything else is printed as it stands. A line too long ends in "...". */
__attribute__((format(printf, 1, 2))) void info(const char *format, ...);

/* The formatter behind info(): writes at most `size` - 1 characters and a zero byte to `line`, and returns
 * how many characters it wrote. `size` is at least 4. Any context. */
__attribute__((format(printf, 3, 0))) size_t console_format(char *line, size_t size, const char *format,
                                                            va_list arguments);

#endif

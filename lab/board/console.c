#include "console.h"

#include "semihosting.h"

#include <stdbool.h>
#include <stdint.h>

struct output {
    char *text;
    size_t room;
    size_t length;
    bool truncated;
};

struct field {
    size_t width;
    char pad;
};

static void put(struct output *out, char c)
{
    if (out->length < out->room) {
        out->text[out->length++] = c;
    } else {
        out->truncated = true;
    }
}

static void put_padding(struct output *out, struct field field, size_t used)
{
    for (size_t i = used; i < field.width; i++) {
        put(out, field.pad);
    }
}

static void put_string(struct output *out, struct field field, const char *text)
{
    if (text == NULL) {
        text = "(null)";
    }
    size_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    field.pad = ' ';
    put_padding(out, field, length);
    for (size_t i = 0; i < length; i++) {
        put(out, text[i]);
    }
}

static void put_number(struct output *out, struct field field, unsigned long magnitude, unsigned base,
                       bool negative)
{
    char digits[sizeof magnitude * 3]; /* base 10 needs fewer than 3 digits a byte */
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[magnitude % base];
        magnitude /= base;
    } while (magnitude != 0);

    const size_t used = count + (negative ? 1u : 0u);
    if (negative && field.pad == '0') {
        put(out, '-');
    }
    put_padding(out, field, used);
    if (negative && field.pad != '0') {
        put(out, '-');
    }
    while (count > 0) {
        put(out, digits[--count]);
    }
}

static void put_signed(struct output *out, struct field field, long value)
{
    /* Negated as unsigned: -LONG_MIN does not exist. */
    const unsigned long magnitude = value < 0 ? 0ul - (unsigned long)value : (unsigned long)value;
    put_number(out, field, magnitude, 10, value < 0);
}

static const char *parse_field(const char *at, struct field *field)
{
    field->pad = ' ';
    field->width = 0;
    if (*at == '0') {
        field->pad = '0';
        at++;
    }
    while (*at >= '0' && *at <= '9') {
        if (field->width < CONSOLE_LINE) {
            field->width = field->width * 10u + (size_t)(*at - '0');
        }
        at++;
    }
    return at;
}

static void finish(struct output *out)
{
    if (out->truncated) {
        for (size_t i = 1; i <= 3; i++) {
            out->text[out->length - i] = '.';
        }
    }
    out->text[out->length] = '\0';
}

size_t console_format(char *line, size_t size, const char *format, va_list arguments)
{
    struct output out = {.text = line, .room = size - 1, .length = 0, .truncated = false};

    for (const char *at = format; *at != '\0'; at++) {
        if (*at != '%') {
            put(&out, *at);
            continue;
        }
        struct field field;
        const char *conversion = parse_field(at + 1, &field);
        const bool is_long = *conversion == 'l';
        if (is_long) {
            conversion++;
        }
        switch (*conversion) {
        case 'd':
        case 'i':
            put_signed(&out, field, is_long ? va_arg(arguments, long) : va_arg(arguments, int));
            break;
        case 'u':
            put_number(&out, field,
                       is_long ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned), 10, false);
            break;
        case 'x':
            put_number(&out, field,
                       is_long ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned), 16, false);
            break;
        case 'p':
            put(&out, '0');
            put(&out, 'x');
            put_number(&out, (struct field){.width = 8, .pad = '0'},
                       (unsigned long)(uintptr_t)va_arg(arguments, void *), 16, false);
            break;
        case 's':
            put_string(&out, field, va_arg(arguments, const char *));
            break;
        case 'c':
            put(&out, (char)va_arg(arguments, int));
            break;
        case '%':
            put(&out, '%');
            break;
        default:
            put(&out, '%');
            continue;
        }
        at = conversion;
    }
    finish(&out);
    return out.length;
}

void info(const char *format, ...)
{
    char line[CONSOLE_LINE + 2]; /* and a newline, and a zero byte */

    va_list arguments;
    va_start(arguments, format);
    const size_t length = console_format(line, CONSOLE_LINE + 1, format, arguments);
    va_end(arguments);
    line[length] = '\n';
    line[length + 1] = '\0';

    if (!semihosting_is_absent()) {
        (void)semihosting_call(SEMIHOSTING_WRITE0, (uintptr_t)line);
    }
}

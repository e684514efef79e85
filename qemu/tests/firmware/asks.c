/* Sleeps until SELECT is pressed, then asks the host as -DOPERATION, -DPARAMETER and -DWAY say. */
#include "buttons.h"
#include "console.h"
#include "semihosting.h"
#include "sleep.h"

#define BOARD 1 /* through the board's console */
#define OWN 2   /* a BKPT of its own */
#define RAM 3   /* a BKPT in code that it has written into RAM */

/* Reading and writing the bytes at `path` are for the tests: a file name, a command, a block. */
const char path[] = "wakebench-was-here";
const char command[] = "touch wakebench-was-here";
const struct {
    const void *first;
    uint32_t second, third;
} block = {path, 6 /* "wb" */, sizeof path - 1}, to_run = {command, sizeof command - 1, 0};

const char bytes[] = "ok \xff\xfe\xc3\x28 end\n";
const char escapes[] = "\x1b[2J\x1b]0;owned\x07red\r\n";
const char half[] = "half a line";
char endless[16384];

#ifndef PARAMETER
#define PARAMETER &block
#endif

static uint16_t code[4];

static uint32_t ask(uint32_t operation, uintptr_t parameter)
{
#if WAY == OWN
    register uint32_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = parameter;
    __asm__ volatile(".global own_bkpt\n.thumb_func\n.type own_bkpt, %%function\nown_bkpt: bkpt 0xab"
                     : "+r"(r0) : "r"(r1) : "memory");
    return r0;
#elif WAY == RAM
    code[0] = 0xbeab; /* bkpt 0xab */
    code[1] = 0x4770; /* bx lr */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    return ((uint32_t (*)(uint32_t, uintptr_t))((uintptr_t)code | 1))(operation, parameter);
#else
    return semihosting_call(operation, parameter);
#endif
}

int main(void)
{
    arm_select();
    for (size_t i = 0; i < sizeof endless; i++) {
        endless[i] = 'x';
    }
    (void)code;
    while (presses == 0) {
        sleep_until_pending();
    }
    const uint32_t answer = ask(OPERATION, (uintptr_t)(PARAMETER));
    info("answer %lu", answer);
    for (;;) {
        sleep_until_pending();
    }
}

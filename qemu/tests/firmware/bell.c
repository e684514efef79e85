/* Treats the bench's bell otherwise than the board's files do; HOW says how. */
#include "bell.h"
#include "console.h"
#include "semihosting.h"
#include "sleep.h"

#define WRITES 1         /* without sleeping or asking for anything */
#define PASSES_BY 2      /* sleeps, and has jumped over the bell */
#define RINGS_ANOTHER 3  /* sleeps behind a store that looks like it */
#define CALLS_BEHIND_IT 4 /* prints by the BKPT alone */

static uint32_t another;

static void sleep_unheard(void)
{
#if HOW == PASSES_BY
    __asm__ volatile("b 1f\n\t" RING "1: wfi" ::BELL : "memory");
#elif HOW == RINGS_ANOTHER
    __asm__ volatile(RING "wfi" ::[bell] "l"(&another) : "memory");
#endif
}

static uintptr_t bkpt(void)
{
    const uint16_t *code = (const uint16_t *)((uintptr_t)semihosting_call & ~(uintptr_t)1);
    while (*code != 0xbeab) {
        code++;
    }
    return (uintptr_t)code | 1;
}

int main(void)
{
    (void)another;
    info("begin");
    for (uint32_t n = 1; HOW == WRITES && n <= 3; n++) {
        bench_bell = n;
        info("%lu written", bench_bell);
    }
    if (HOW == CALLS_BEHIND_IT) {
        ((uint32_t (*)(uint32_t, uintptr_t))bkpt())(SEMIHOSTING_WRITE0, (uintptr_t) "forged\n");
    }
    sleep_unheard();
    for (;;) {
        sleep_until_pending();
    }
}

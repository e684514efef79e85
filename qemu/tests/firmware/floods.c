/* Prints for ever. */
#include "console.h"

int main(void)
{
    for (unsigned i = 0;; i++) {
        info("%u: the quick brown fox jumps over the lazy dog, again and again and again and again", i);
    }
}

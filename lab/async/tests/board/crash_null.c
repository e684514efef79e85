/* A call through a null pointer. */
#include <stddef.h>

static void (*volatile nowhere)(void) = NULL;

int main(void)
{
    nowhere();
    return 0;
}

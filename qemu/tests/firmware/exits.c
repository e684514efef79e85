/* Is done. */
#include "console.h"

int main(void)
{
    info("PASS");
    return 0;
}

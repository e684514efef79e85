#include "answer.h"

unsigned answer(void)
{
    return 6u * 7u;
}

/* Two numbers for tasks of all priorities. The rules are in shared_pair.h. */

#include "shared_pair.h"

#include "todo.h"

static struct pair shared;

/* Whom can a task of the thread executor be interrupted by; whom an urgent one; whom the handler of the button? So which of
 * the two functions needs protection, and against whom? Masking is one answer. BASEPRI would be another: who is kept waiting
 * then, and who not? */

void shared_pair_store(const struct pair *from)
{
    TODO(4);
    shared = *from;
}

void shared_pair_load(struct pair *to)
{
    TODO(5);
    *to = shared;
}

/* What the student writes: its meaning, units, context (thread or ISR), and what is not a mistake. */
#ifndef ANSWER_H
#define ANSWER_H

/* The answer. Thread context. */
unsigned answer(void);

#endif

/* The end of the program. */
#ifndef STOP_H
#define STOP_H

/* Sleeps for ever with every interrupt off. Any context. For a debugger the state stays as it was. */
_Noreturn void board_stop(void);

#endif

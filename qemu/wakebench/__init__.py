"""wakebench: a board on a bench.

Runs an ELF image on QEMU's lm3s6965evb, drives its pins, answers its semihosting calls, and writes
down what happened. It knows nothing of labs, points or marks.
"""

"""`wakelab watch`: at every save, a verdict.

One process with one thread waits for all there is to wait for: a save, a key, a signal, the end of
a grading. It has imported what a grading needs, and forks one off at each save.
"""

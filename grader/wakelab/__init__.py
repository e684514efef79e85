"""wakelab: builds a submission, has its checks run on the bench, and says what happened.

Data flows one way: submission, build, bench, checks, report, formats.
"""

__version__ = "0.1.0"

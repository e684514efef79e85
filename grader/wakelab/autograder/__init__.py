"""wakelab as an autograder of Gradescope: a zip with all that grading one lab takes.

`bundle` packs it. `setup.sh` and `run_autograder` are what Gradescope starts inside its container.
"""

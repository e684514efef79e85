"""Grading a whole class: what a learning platform exports goes in, a report for each student, a
table and a page come out.

    intake  ──►  pool or cluster  ──►  store  ──►  summary, page
    (submissions)    (reports)       (on disk)

Intake reads, and never lets anything that was handed in choose a path. A pool grades contents, here
or on other machines. The store writes each report as it comes.
"""

"""The report in the shapes that other programs read.

One pure module for each format: a Report goes in, text comes out, and the same Report gives the
same text. `registry` lists them. What a student could have put into a report is hostile here, too:
each module says what its format would obey, and spells that out.
"""

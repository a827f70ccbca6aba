"""What can be asked of refsync: one function for each question or order, one model for each answer.

The doors (the command line, and whoever calls from Python) parse what they were given, call one function of these, and
print its answer. What they print as JSON is the answer model as it is.
"""

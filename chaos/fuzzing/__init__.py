"""Fuzzing of what reads what others wrote: input lines, API replies, file names, replies of any shape."""

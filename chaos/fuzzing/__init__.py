"""Fuzzing of the three parsers that read what others wrote: input lines, API replies, file names."""

"""From input files to checked lines in one local file."""

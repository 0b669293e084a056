"""Makes a dataset at Learnosity: initialise, upload, start the job, or use the job of an earlier attempt."""

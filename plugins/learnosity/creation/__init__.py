"""Making a dataset at Learnosity: initialise, upload, start the job, re-attach."""

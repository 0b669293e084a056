"""From Learnosity's result files to a published dataset."""

"""What the pinned packages are: their age, whether they were withdrawn, their licences, and a bill of materials."""

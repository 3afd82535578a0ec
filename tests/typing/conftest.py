"""The file of good and bad pipelines is for mypy, and is run line by line by the test alone."""

collect_ignore = ["good_and_bad_pipelines.py"]

"""The files of good and bad pipelines are for mypy, and are run line by line by the test alone."""

collect_ignore = ["good_and_bad_bars.py", "good_and_bad_pipelines.py"]

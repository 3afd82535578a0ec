"""Recipes: one file each, readable in a minute, run by `python -m recipes.<name>`."""

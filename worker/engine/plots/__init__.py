"""Plots people look at, one file each; all of their data stands in the report.

Each defines `draw(made) -> Figure | None`, None where the report has nothing to show.
"""

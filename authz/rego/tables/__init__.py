"""Decision tables: rules read as rows of cells, and the indexes that find the rows of an input.

Reads plans and builds plain data; generates no code. The text that looks a table up is `rego/tablecode.py`'s.
"""

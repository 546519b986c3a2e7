"""The command line: one module a command; what the commands do is elsewhere."""

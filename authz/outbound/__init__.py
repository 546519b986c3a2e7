"""Requests that policies make with `http.send`: which are allowed, how they are sent, what is remembered of the answers."""

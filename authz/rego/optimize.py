"""placeholder"""
def optimized(planned, data, overridden, mocked): return planned

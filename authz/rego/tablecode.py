def write_table(*a): raise AssertionError

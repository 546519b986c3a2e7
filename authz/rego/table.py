"""placeholder"""
class Table: pass
def build_table(*a): return None

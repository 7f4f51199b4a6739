"""Spaces whose networks repeat a cell: NAS-Bench-201's, and that of DARTS."""

"""Cells whose edges mix their candidates."""

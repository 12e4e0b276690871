"""Processes of their own for what may crash, hang or grow: started, watched, ended."""

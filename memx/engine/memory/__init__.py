"""What memory there is, who uses it, and what gives way when it gets tight."""

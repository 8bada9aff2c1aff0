"""What accounts may have and do at most. `docs/limits.md` is the table for people."""

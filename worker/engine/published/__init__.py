"""The student's files and papers."""

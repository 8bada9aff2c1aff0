"""What an upload is: looked at once, never executed."""

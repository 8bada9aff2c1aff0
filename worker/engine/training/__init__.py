"""What the loop goes by: its plan, its stages and generations, its limits, and what it leaves."""

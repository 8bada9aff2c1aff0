"""Files as they come from strangers and as we write them: formats, never meanings."""

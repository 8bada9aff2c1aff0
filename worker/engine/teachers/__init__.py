"""What teachers say and hold, computed anew or kept in files."""

"""What networks hold on their way to their outputs: where that is, and how it is listened to."""

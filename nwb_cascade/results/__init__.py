"""What inference gave, between the recording and the writers."""

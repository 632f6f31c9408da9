"""What a person starts: one file for each job."""

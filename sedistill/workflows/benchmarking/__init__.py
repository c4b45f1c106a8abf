"""What networks cost where they are to run, and how good they are: `sedistill benchmark`."""

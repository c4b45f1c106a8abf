"""`Stream` where sound comes from elsewhere: sound devices, and frameworks of voice agents."""

"""Corpora whose audio lies in tar files in a folder or behind a URL, of which any part is read alone."""

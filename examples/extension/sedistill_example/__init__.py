"""Parts for sedistill, each complete in one file: copy the package, rename it, and keep what you need."""

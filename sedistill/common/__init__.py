"""What every room may use: errors, settings, files written whole, progress, pages."""

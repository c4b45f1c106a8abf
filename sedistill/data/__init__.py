"""From folders on a disk to batches."""

"""From two folders of recordings to a distilled student and a page about it, within a number of hours."""

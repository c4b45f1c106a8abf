"""The patches of a few fixed clips, recorded while a network trains."""

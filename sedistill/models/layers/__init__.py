"""Layers of which the networks are made. A network imports layers, never another network."""

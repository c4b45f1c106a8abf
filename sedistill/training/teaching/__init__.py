"""The teachers of a training: measured, judged, and which of several is the nearest."""

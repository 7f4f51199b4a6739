"""The processes of a run: who leads, who was interrupted, and the random streams they share."""

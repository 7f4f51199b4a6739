"""The shuffle block, the choice block of the single path one-shot space."""

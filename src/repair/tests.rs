//! What is repaired, against a comparison of everything.

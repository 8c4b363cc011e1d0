//! Refusals of collecting.

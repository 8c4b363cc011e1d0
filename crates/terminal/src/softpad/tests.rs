//! Refusals of the software PIN pad, and power cuts.

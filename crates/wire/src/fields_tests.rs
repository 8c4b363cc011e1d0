//! Every defect that fields can have, at its limit and one past it.

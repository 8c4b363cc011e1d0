//! The payment engineer's calculator: check values, MACs, key blocks, components.

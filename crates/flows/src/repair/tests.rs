//! Both roles in memory.

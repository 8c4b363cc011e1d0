//! The software HSM: local master key, usage policy, sealed storage, its own process.

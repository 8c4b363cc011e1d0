//! What the servers remember: key blocks, ciphertext and the audit chain, never a clear key.

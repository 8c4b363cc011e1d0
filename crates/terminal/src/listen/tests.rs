//! Loading, repair and tampering over TCP.

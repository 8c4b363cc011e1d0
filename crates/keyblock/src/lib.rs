//! ASC X9.143 (TR-31) and ISO 20038 key blocks.

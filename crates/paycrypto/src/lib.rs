//! Clear payment keys and what is done with them: TDES, AES, MACs, check values, RSA.

//! Behaviour of the crate, by subject.

mod chain;
mod cms;
mod cms_both;
mod cms_openssl;
mod crl;
mod descriptions;
mod garbage;
mod issue;
mod keys;
mod openssl;
mod p256;
mod p256_openssl;
mod p256_support;
mod roles;
mod support;
mod tlv;
mod trials;

//! Against suite 02, P-256 and AES. What plays the other sides is written from `docs/spec/3-hardened.md` alone.

mod block;
mod blocks;
mod device;
mod floods;
mod headers;
mod kills;
mod lines;
mod loaders;
mod oracles;
mod peer;
mod proofs;
mod real;
mod roles;
mod seals;
mod sessions;
mod suites;
mod uploads;
mod victim;
mod weak;

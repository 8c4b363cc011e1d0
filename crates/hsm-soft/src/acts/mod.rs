//! The commands as this HSM carries them out: one act a file, each refusing by default.

mod answer_challenge;
mod answer_stranger;
mod check_answer;
mod check_collected;
mod check_work_key;
mod make_key_pair;
mod open_collected;
mod release_tmk;
mod sign_tls;
mod status;
mod transport_key;

pub(crate) use answer_challenge::answer_challenge;
pub(crate) use answer_stranger::answer_stranger;
pub(crate) use check_answer::check_answer;
pub(crate) use check_collected::check_collected;
pub(crate) use check_work_key::check_work_key;
pub(crate) use make_key_pair::{make_tls_key, make_work_key};
pub(crate) use open_collected::open_collected;
pub(crate) use release_tmk::release_tmk;
pub(crate) use sign_tls::sign_tls;
pub(crate) use status::status;

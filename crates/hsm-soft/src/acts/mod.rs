//! The commands as this HSM carries them out: one act a file, each refusing by default.

mod answer_challenge;
mod answer_stranger;
mod check_answer;
mod check_collected;
mod check_work_key;
mod dik1;
mod exchange;
mod export_held;
mod held_key;
mod import_loaded;
mod load_terminal;
mod make_key_pair;
mod open_collected;
mod release_rks_keys;
mod release_tmk;
mod seal_rks_token;
mod sign_tls;
mod status;
mod transport_key;

pub(crate) use answer_challenge::answer_challenge;
pub(crate) use answer_stranger::answer_stranger;
pub(crate) use check_answer::check_answer;
pub(crate) use check_collected::check_collected;
pub(crate) use check_work_key::check_work_key;
pub(crate) use dik1::{export_dik1, import_dik1, make_dik1, strangers as strangers_dik1};
pub(crate) use export_held::export_held;
pub(crate) use import_loaded::import_loaded;
pub(crate) use load_terminal::load_terminal;
pub(crate) use make_key_pair::{make_downloader_key, make_rks_key, make_tls_key, make_work_key};
pub(crate) use open_collected::open_collected;
pub(crate) use release_rks_keys::release_rks_keys;
pub(crate) use release_tmk::release_tmk;
pub(crate) use seal_rks_token::seal_rks_token;
pub(crate) use sign_tls::sign_tls;
pub(crate) use status::status;

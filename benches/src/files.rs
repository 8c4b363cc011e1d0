//! Open files: a thousand connections have two ends here, one in this process and one in the server.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of this process, and so of those that it starts, as far as it may.
pub(crate) fn as_many_as_allowed() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is not allowed, few terminals at once need no more.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

//! Why a requirement has no test that answers all of it.

/// What is open, and why.
pub(super) fn reason(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => {
            "swap and core dumps are not looked through: the HSM's memory is locked and it leaves none (R2); elsewhere \
               there is no key to find"
        }
        10 => {
            "roots say what they are for, and servers, stations and terminals hold to it; an HSM's folder does not, so a \
               trial's HSM folder is not to be used for production"
        }
        12 => {
            "two people are demanded for collecting, replacing, windows, components, a KLD's runs, a lower suite, and by a \
               CA that was made with --two-people; the CA that `keyferry init` makes, unsealing and restoring are one person \
               with a passphrase"
        }
        13 => {
            "what two people sign is the bytes that are carried out (CMS over the package itself); there is no console \
               yet that shows the second person what the first one asked"
        }
        14 => {
            "two custodians' secrets are entered one after the other in one session at one keyboard; components of full \
               length and n-of-m shares of the backup are tested by their own tests, without a statistical one"
        }
        15 => {
            "an HSM's folder is new for each estate; there is no hardware whose factory reset could be proved before a \
               ceremony"
        }
        17 => {
            "lid, temperature and voltage are readings of a simulated board: watchdog, debugger and the time that a wipe \
               takes are the hardware's"
        }
        19 => {
            "a compromised key is marked, listed and its pending successors dropped; the time that it takes is not measured"
        }
        20 => {
            "session keys end at their blocks, PIN keys at as many PIN blocks; MAC keys end at as many messages, whose \
               blocks are not counted"
        }
        22 => {
            "the specification does not say what a certificate epoch is: a terminal believes no certificate older than one of \
               the same subject, role and issuer that it accepted; servers do not keep that. Terminals do not fetch \
               revocation lists, people bring them"
        }
        23 => {
            "`keyferry ca` and `keyferry card` have no network code, held by `cargo xtask tidy`, and the ceremonies run in a \
               test without a network; they are commands of a program whose other commands have it"
        }
        24 => {
            "nothing is wrapped, unwrapped, derived or copied by way of PKCS #11, so there is no such trace of ours to try; what \
               a module would allow to other programs is its maker's"
        }
        26 => {
            "each HSM process has one duty, held by a test over all commands; there is no policy file to compare with"
        }
        28 => "no PIN is verified: IBM 3624 and PVV are not offered",
        31 => {
            "there is no console to log into and no cluster to join; unsealing and restoring are acts of the HSM's own \
               command, which writes no event to the server's audit"
        }
        32 => {
            "the chain is verified by a program of its own and every change is found; heads are printed, not signed"
        }
        34 => "endpoints ask for the role of a card; there is no console with users of its own",
        35 => {
            "PKCS #11 tells no counter of signatures, and of tries left no number, only that they are few or one; the tests' \
               tokens are SoftHSM's, no real card was tried"
        }
        36 => "backups are encrypted and authenticated; going back to an older one as a whole is not noticed",
        37 => "the unique constraints and races are tested; no history checker runs over two nodes",
        38 => {
            "the terminal's life cycle is a table with a test of every move; chain of custody comes with factory orders"
        }
        39 => {
            "TLS 1.3 and 1.2's listed suites by rustls, bodies and headers bounded; the outside tools are not run in CI"
        }
        40 => {
            "quotas are for each connection, address, serial and key; a server works for one acquirer, so there are none \
               for tenants"
        }
        41 => "there is no console yet",
        42 => {
            "dependencies are pinned and the build needs no network once they are fetched; releases are not signed yet"
        }
        43 => {
            "packages need the vendor's signature and, where demanded, the acquirer's approval; the terminal's own first \
               software is not measured"
        }
        45 => "answered by reading: [the threat model](threat-model.md) and [SECURITY.md](../SECURITY.md)",
        _ => return None,
    })
}

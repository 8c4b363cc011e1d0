//! R31: what the store does, it does with its event. Read from the source itself, so that an act that somebody adds
//! without one is found here.

/// The five parts of the store, as SQLite has them.
const SOURCES: [&str; 5] = [
    include_str!("../mod.rs"),
    include_str!("../device_store.rs"),
    include_str!("../host_store.rs"),
    include_str!("../suite_store.rs"),
    include_str!("../tms_store.rs"),
];

/// Acts without an event of their own, and why.
const WITHOUT: [(&str, &str); 4] = [
    ("count_uses", "counts what `sign-in.confirmed` allowed; it changes no key"),
    ("note_inventory", "what a terminal says it has: kept in place of what it said before"),
    ("operator_passed", "`tms.operator-proved` is written with the session that it opens"),
    ("put_file_chunk", "a file is there when `finish_file` says so"),
];

/// A method of a trait: its name, what it takes, and what it does.
struct Method<'a> {
    name: &'a str,
    takes: &'a str,
    does: &'a str,
}

fn methods() -> Vec<Method<'static>> {
    let of_traits = SOURCES.iter().map(|source| source.split_once("Store for SqliteStore {").unwrap().1);
    of_traits
        .flat_map(|source| source.split("\n    async fn ").skip(1))
        .map(|method| {
            let (name, rest) = method.split_once('(').unwrap();
            let (takes, rest) = rest.split_once(") -> ").unwrap();
            let (does, _) = rest.split_once("\n    }").unwrap();
            Method { name, takes, does }
        })
        .collect()
}

#[test]
fn r31_every_act_of_the_store_takes_its_event_and_writes_it() {
    let mut acts = 0;
    for Method { name, takes, does } in methods() {
        let (is_act, reads) = (does.contains("self.act("), does.contains("self.readers()"));
        assert_ne!(is_act, reads, "{name} either acts or reads");
        if WITHOUT.iter().any(|(without, _)| *without == name) {
            assert!(is_act && !takes.contains("event"), "{name} needs no leave");
        } else {
            assert_eq!(
                is_act,
                takes.contains("event: Event"),
                "{name}: an act without an event is in no audit"
            );
            assert_eq!(is_act, does.contains("&event"), "{name}: its event is not handed on");
            acts += usize::from(is_act);
        }
    }
    assert!(acts > 40, "{acts} acts were read: the source has another form");
}

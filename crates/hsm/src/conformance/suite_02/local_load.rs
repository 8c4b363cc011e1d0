//! Flow B of suite 02: the suite plays the terminal of a KLD.

use keyblock::{Header, Kbpk, Version};
use paycrypto::ec::{
    LoadedKey, Schedule, StaticSecret, VerifyingKey,
    blocks::{self, BlockKey, BlockRefusal, LoadCounter, Protects},
    derive_dik2,
    keys::{Dik1, Dik2, Dmk},
};

use super::{
    super::{ExchangeAes, OWNER, PAD, refused},
    collect::make,
    exchange::imported,
    peer::{Server, Side, context, filled, frame, hole, th, with},
};
use crate::{
    Hsm, KeyBlock, Refusal,
    commands::{
        Acknowledge, EcKeyKind, ExportDik1, Held, ImportLoaded, Imported, LoadEc, LoadTerminalEc, LoadedEc,
        LoadingOpened, MakeDik1Ec, OpenLoading, Peer, WorkKey,
    },
};

const TMK: Held = Held::Tmk { slot: 3 };

pub(super) async fn run(hsm: &impl Hsm, exchange: &ExchangeAes) {
    let kld = Kld { work: make(hsm, EcKeyKind::KldSigning).await };
    kld.a_tmk_is_made_or_given_and_loaded(hsm, exchange).await;
    kld.a_dmk_is_loaded_and_acknowledged(hsm, exchange).await;
    kld.a_dik2_is_derived_and_loaded_with_its_factor(hsm, exchange).await;
    kld.what_does_not_fit_is_refused(hsm).await;
    kld.keys_are_refused_out_of_place(hsm, exchange).await;
}

/// A KLD's signing key.
struct Kld {
    work: WorkKey,
}

/// One connection, from the terminal's side.
struct Connection {
    side: Side,
    opened: LoadingOpened,
    connect: Vec<u8>,
    accept: Vec<u8>,
    accept_bare: Vec<u8>,
}

/// What the terminal has when it has read KLD_KEY.
struct Read {
    schedule: Schedule,
    context: [u8; 16],
    /// All frames before KEY_CONFIRM.
    said: Vec<u8>,
}

impl Connection {
    async fn open(hsm: &impl Hsm) -> Self {
        let opened = hsm.call(OpenLoading { owner: OWNER.into() }).await.unwrap();
        let side = Side::new();
        let connect = filled(&hole(0x21, &[0xDF, 0x01, 0x01, 0x02], &[]), &server(&opened));
        let accept_bare = side.frame(0x22, b"\xDF\x02\x07SN-1001");
        let signature = [&accept_bare[4..], &[0xDF, 0x16, 0x40], &[0x5A; 64]].concat();
        Self { side, opened, connect, accept: frame(0x22, &signature), accept_bare }
    }

    fn ask(&self, kld: &Kld, load: LoadEc) -> LoadTerminalEc {
        LoadTerminalEc {
            ticket: self.opened.ticket.clone(),
            work_key: kld.work.private.clone(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            peer: self.side.peer(),
            connect: self.connect.clone(),
            accept: self.accept.clone(),
            accept_bare: self.accept_bare.clone(),
            load,
            escrow_under: None,
        }
    }

    /// Checks KLD_KEY's signature as the terminal does.
    fn read(&self, kld: &Kld, loaded: &LoadedEc) -> Read {
        let block = loaded.wrapped.as_bytes();
        let entry = field([0xDF, 0x40], block);
        let factor = loaded.factor.as_ref().map(|factor| field([0xDF, 0x23], factor)).unwrap_or_default();
        let bare = [factor, field([0xFF, 0x21], &entry)].concat();
        let said = [self.connect.as_slice(), &self.accept].concat();
        let key = VerifyingKey::from_spki(&kld.work.public).unwrap();
        assert!(key.verifies_transcript(&th(b'B', &[&said, &frame(0x23, &bare)]), &loaded.signature));
        let th12 = th(b'B', &[&self.connect, &self.accept_bare]);
        let schedule = self.side.answered(&StaticSecret::LocalLoad, &server(&self.opened), &th12);
        let context = context(&said);
        let whole = frame(0x23, &[field([0xDF, 0x16], &loaded.signature), bare].concat());
        Read { schedule, context, said: [said, whole].concat() }
    }
}

impl Read {
    fn open<K: BlockKey>(&self, loaded: &LoadedEc) -> Result<K, BlockRefusal>
    where
        paycrypto::ec::Kbpk: Protects<K>,
    {
        blocks::unwrap(&self.schedule.kbpk(), &loaded.wrapped, "SN-1001/00", &self.context)
    }

    /// The check value of the TMK, whose counter must be this one.
    fn tmk(&self, loaded: &LoadedEc, counter: u64) -> [u8; 5] {
        let stored = LoadCounter::new(counter - 1);
        let opened =
            blocks::unwrap_tmk(&self.schedule.kbpk(), &loaded.wrapped, "SN-1001/03", &self.context, stored);
        let (tmk, found) = opened.unwrap();
        assert_eq!(found, LoadCounter::new(counter));
        tmk.kcv()
    }

    fn acknowledge(&self, loaded: &LoadedEc, index: u8) -> Acknowledge {
        let keys = [LoadedKey { index, kcv: loaded.kcv }];
        let receipt = self.schedule.receipt_terminal().receipt(&th(b'B', &[&self.said]), &keys);
        let confirm = with(&frame(0x05, &[]), [0xDF, 0x17], &receipt);
        Acknowledge {
            ticket: loaded.ticket.clone(),
            said_before_confirm: self.said.clone(),
            said_before_done: [self.said.as_slice(), &confirm].concat(),
            receipt,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
        }
    }
}

impl Kld {
    async fn a_tmk_is_made_or_given_and_loaded(&self, hsm: &impl Hsm, exchange: &ExchangeAes) {
        let connection = Connection::open(hsm).await;
        let ask = LoadTerminalEc {
            escrow_under: Some(exchange.block.clone()),
            ..connection.ask(self, tmk(1, None))
        };
        let loaded = hsm.call(ask).await.unwrap();
        let read = connection.read(self, &loaded);
        assert_eq!(read.tmk(&loaded, 1), loaded.kcv);
        assert!(loaded.factor.is_none(), "a factor only with a DIK2");
        hsm.call(read.acknowledge(&loaded, 3)).await.unwrap();
        refused(hsm.call(read.acknowledge(&loaded, 0)).await, |r| *r == Refusal::NotProven);

        // The report: the same key, with its place only, and the KMS takes it.
        let escrow = loaded.escrow.unwrap();
        assert_eq!(Header::parse(&escrow).unwrap().0.optional.len(), 1, "its place and nothing else");
        let import = ImportLoaded {
            under: exchange.block.clone(),
            block: escrow,
            pin_pad: PAD.into(),
            what: TMK,
            owner: OWNER.into(),
        };
        let Imported::KeyEc(reported) = hsm.call(import).await.unwrap() else { panic!("another kind") };
        assert_eq!(reported.kcv, loaded.kcv);

        // The same key again, for a terminal that was cut off: a new connection, the next counter.
        let connection = Connection::open(hsm).await;
        let again = hsm.call(connection.ask(self, tmk(2, Some(loaded.held.clone())))).await.unwrap();
        assert_eq!((again.kcv, &again.held, &again.escrow), (loaded.kcv, &loaded.held, &None));
        assert_eq!(connection.read(self, &again).tmk(&again, 2), loaded.kcv);

        // One that the KMS made.
        let given = imported(hsm, exchange, TMK, b"a TMK of the KMS").await;
        let loaded = hsm.call(connection.ask(self, tmk(3, Some(given.block)))).await.unwrap();
        assert_eq!(loaded.kcv, given.kcv);
    }

    async fn a_dmk_is_loaded_and_acknowledged(&self, hsm: &impl Hsm, exchange: &ExchangeAes) {
        let connection = Connection::open(hsm).await;
        let ask = LoadTerminalEc {
            escrow_under: Some(exchange.block.clone()),
            ..connection.ask(self, LoadEc::Dmk { held: None })
        };
        let loaded = hsm.call(ask).await.unwrap();
        let read = connection.read(self, &loaded);
        let dmk: Dmk = read.open(&loaded).unwrap();
        assert_eq!(dmk.kcv(), loaded.kcv);
        assert_eq!(read.open::<Dik2>(&loaded).err(), Some(BlockRefusal::Usage));
        let kbpk = Kbpk::new(Version::D, exchange.key.expose()).unwrap();
        assert_eq!(kbpk.unwrap(&loaded.escrow.clone().unwrap()).unwrap().key.as_slice(), dmk.expose());
        let good = read.acknowledge(&loaded, 0);
        let receipt = hsm.call(good.clone()).await.unwrap();
        let keys = [LoadedKey { index: 0, kcv: loaded.kcv }];
        let done = th(b'B', &[&good.said_before_done]);
        assert!(read.schedule.receipt_server().acknowledges(&done, &keys, &receipt));
        let again = connection.ask(self, LoadEc::Dmk { held: Some(loaded.held) });
        assert_eq!(hsm.call(again).await.unwrap().kcv, dmk.kcv());
    }

    async fn a_dik2_is_derived_and_loaded_with_its_factor(&self, hsm: &impl Hsm, exchange: &ExchangeAes) {
        let (owner, label) = (OWNER.to_owned(), "batch".into());
        let dik1 = hsm.call(MakeDik1Ec { owner: owner.clone(), label }).await.unwrap().block;
        let export = ExportDik1 { dik1: dik1.clone(), under: exchange.block.clone(), owner };
        let kbpk = Kbpk::new(Version::D, exchange.key.expose()).unwrap();
        let clear = kbpk.unwrap(&hsm.call(export).await.unwrap()).unwrap().key;
        let clear = Dik1::from_bytes(clear.as_slice().try_into().unwrap());
        let connection = Connection::open(hsm).await;
        let load = |dsn: &str, factor: Option<&[u8]>| LoadTerminalEc {
            escrow_under: Some(exchange.block.clone()),
            ..connection.ask(self, dik2(&dik1, dsn, factor))
        };
        for factor in [Some(b"KLD-7/20261120/B042".as_slice()), None] {
            let loaded = hsm.call(load(PAD, factor)).await.unwrap();
            let read = connection.read(self, &loaded);
            let sent = loaded.factor.as_deref().unwrap();
            assert_eq!(sent, factor.unwrap_or(sent));
            let dik2: Dik2 = read.open(&loaded).unwrap();
            assert_eq!(dik2.expose(), derive_dik2(&clear, PAD, sent).unwrap().expose());
            assert_eq!(dik2.kcv(), loaded.kcv);
            let escrow = loaded.escrow.as_deref().unwrap();
            assert_eq!(kbpk.unwrap(escrow).unwrap().key.as_slice(), sent, "the report has the factor");
            hsm.call(read.acknowledge(&loaded, 0)).await.unwrap();
        }
        let (one, other) =
            (hsm.call(load(PAD, None)).await.unwrap(), hsm.call(load(PAD, None)).await.unwrap());
        assert_ne!(one.factor, other.factor, "each factor is another");
        for (dsn, factor) in [("a serial", None), (PAD, Some([].as_slice())), (PAD, Some(&[1; 33]))] {
            refused(hsm.call(load(dsn, factor)).await, |r| matches!(r, Refusal::Malformed { .. }));
        }
    }

    async fn what_does_not_fit_is_refused(&self, hsm: &impl Hsm) {
        let connection = Connection::open(hsm).await;
        let good = connection.ask(self, LoadEc::Dmk { held: None });
        let at = good.accept.windows(65).position(|w| w == connection.side.key.public()).unwrap();
        let mut off = good.clone();
        off.peer.point[64] ^= 1;
        off.accept[at + 64] ^= 1;
        off.accept_bare[at + 64] ^= 1;
        refused(hsm.call(off).await, |r| matches!(r, Refusal::FromTerminal { .. }));

        let other = Connection::open(hsm).await;
        for bad in [
            LoadTerminalEc { peer: other.side.peer(), ..good.clone() },
            LoadTerminalEc { peer: Peer { nonce: [0; 32], ..good.peer.clone() }, ..good.clone() },
            LoadTerminalEc { connect: other.connect.clone(), ..good.clone() },
            LoadTerminalEc { accept: other.accept.clone(), ..good.clone() },
            LoadTerminalEc { accept_bare: other.accept_bare, ..good.clone() },
            LoadTerminalEc { connect: vec![], ..good.clone() },
            LoadTerminalEc { accept: good.accept[..80].to_vec(), ..good.clone() },
            LoadTerminalEc { ticket: other.opened.ticket, ..good.clone() },
        ] {
            refused(hsm.call(bad).await, |r| matches!(r, Refusal::Malformed { .. }));
        }
        let loaded = hsm.call(good.clone()).await.unwrap();
        for ticket in [vec![], vec![0; 100], loaded.ticket] {
            let forged = LoadTerminalEc { ticket, ..good.clone() };
            refused(hsm.call(forged).await, |r| *r == Refusal::NotProven);
        }
        let nobodys = OpenLoading { owner: String::new() };
        refused(hsm.call(nobodys).await, |r| matches!(r, Refusal::Malformed { .. }));
    }

    async fn keys_are_refused_out_of_place(&self, hsm: &impl Hsm, exchange: &ExchangeAes) {
        let connection = Connection::open(hsm).await;
        let given = imported(hsm, exchange, TMK, b"a TMK of the KMS").await.block;
        let load = |load| connection.ask(self, load);
        let other_slot = LoadEc::Tmk { slot: 4, counter: 1, held: Some(given.clone()), avoid: vec![] };
        refused(hsm.call(load(other_slot)).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        let as_dmk = load(LoadEc::Dmk { held: Some(given.clone()) });
        refused(hsm.call(as_dmk).await, |r| matches!(r, Refusal::WrongUse { .. }));
        let as_dik1 = load(dik2(&given, PAD, None));
        refused(hsm.call(as_dik1).await, |r| matches!(r, Refusal::WrongUse { .. }));
        let other_pad = LoadTerminalEc { pin_pad: "SN-2002".into(), ..load(tmk(1, Some(given))) };
        refused(hsm.call(other_pad).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        refused(hsm.call(load(tmk(0, None))).await, |r| matches!(r, Refusal::Malformed { .. }));
        for kind in [EcKeyKind::KmsAgreement, EcKeyKind::RksSigning] {
            let work_key = make(hsm, kind).await.private;
            let misused = LoadTerminalEc { work_key, ..load(tmk(1, None)) };
            refused(hsm.call(misused).await, |r| matches!(r, Refusal::WrongUse { .. }));
        }
        let foreign = LoadTerminalEc { owner: "ACQ-2".into(), ..load(tmk(1, None)) };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
    }
}

fn server(opened: &LoadingOpened) -> Server<'_> {
    Server { point: &opened.point, nonce: &opened.nonce }
}

fn tmk(counter: u64, held: Option<KeyBlock>) -> LoadEc {
    LoadEc::Tmk { slot: 3, counter, held, avoid: vec![] }
}

fn dik2(dik1: &KeyBlock, dsn: &str, factor: Option<&[u8]>) -> LoadEc {
    LoadEc::Dik2 { dik1: dik1.clone(), dsn: dsn.into(), factor: factor.map(<[u8]>::to_vec) }
}

/// Tag, minimal length, value.
fn field(tag: [u8; 2], value: &[u8]) -> Vec<u8> {
    let length = match u16::try_from(value.len()).unwrap().to_be_bytes() {
        [0, short @ ..0x80] => vec![short],
        [0, long] => vec![0x81, long],
        [high, low] => vec![0x82, high, low],
    };
    [tag.as_slice(), &length, value].concat()
}

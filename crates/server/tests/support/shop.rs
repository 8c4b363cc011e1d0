//! A vendor with its packages, and a server that gives them to terminals.

use std::{fs, path::Path};

use base64ct::{Base64, Encoding};
use keyferry_server::{
    Config,
    tms::{Approval, Manifest, PublishError, Published, publish},
};
use paycrypto::rsa::PrivateKey;
use pki::{
    Certificate, Role,
    issue::{self, Issuer},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{DeploymentState, Event, NewDeployment, StopRule, Target, TmsStore, Vendor};

use super::{
    estate::{ESTATE, Key, name, root_valid, valid},
    https::{self, CMS},
    package::signed,
    rks::{hex, report},
    tms::{MODEL, Pos, VENDOR},
    world::{Options, Server, World, results},
};

/// A vendor with a root, a signer and a folder of files.
pub(crate) struct Maker {
    pub(crate) root: Certificate,
    root_key: Key,
    signer_key: PrivateKey,
    pub(crate) signer: Certificate,
}

impl Maker {
    pub(crate) fn new() -> Maker {
        let (root_key, signer_key) = (Key::new(), PrivateKey::generate(2048).unwrap());
        let root = issue::root(&name("Vendor root"), &root_key, root_valid(), 1).unwrap();
        let issuer = Issuer::new(&root, &root_key).unwrap();
        let subject = name("Vendor packages");
        let signer =
            issue::leaf(&issuer, Role::PackageSigning, &subject, signer_key.spki_der(), valid()).unwrap();
        Maker { root, root_key, signer_key, signer }
    }

    /// The root under the same name and key, but for trials.
    pub(crate) fn trial_root(&self) -> Certificate {
        issue::trial_root(self.root.subject(), &self.root_key, root_valid(), 1).unwrap()
    }

    /// Another certificate on the signer's key.
    pub(crate) fn certificate(&self, role: Role) -> Certificate {
        let issuer = Issuer::new(&self.root, &self.root_key).unwrap();
        issue::leaf(&issuer, role, &name("Vendor packages"), self.signer_key.spki_der(), valid()).unwrap()
    }

    /// A certificate of the acquirer's on the signer's key.
    pub(crate) fn approver(&self) -> Certificate {
        let issuer = Issuer::new(&ESTATE.root, ESTATE.root_key()).unwrap();
        let spki = self.signer_key.spki_der();
        issue::leaf(&issuer, Role::PackageSigning, &name("Approver"), spki, valid()).unwrap()
    }

    pub(crate) fn sign(&self, signed: &[u8]) -> String {
        Base64::encode_string(&self.signer_key.sign_pss_sha256(signed).unwrap())
    }

    /// The vendor as the store keeps it.
    pub(crate) fn vendor(&self, folder: &Path) -> Vendor {
        Vendor {
            id: VENDOR.into(),
            name: "The vendor".into(),
            models: vec![MODEL.into()],
            roots: vec![self.root.der().to_vec()],
            repository: json!({ "kind": "folder", "path": folder }).to_string(),
            approval_required: false,
            operator_required: false,
            created_at: 0,
        }
    }

    /// A manifest, signed, of a file with this content.
    pub(crate) fn manifest(&self, package: &str, version: &str, content: &[u8]) -> Value {
        let mut manifest = json!({ "vendor": VENDOR, "name": package, "version": version, "kind": "application",
            "size": content.len(), "sha256": hex(&Sha256::digest(content)), "path": format!("{package}-{version}.bin"),
            "certificate": Base64::encode_string(self.signer.der()), "signature": "" });
        self.resign(&mut manifest);
        manifest
    }

    /// Puts the signature right after a change.
    pub(crate) fn resign(&self, manifest: &mut Value) {
        let signed = Manifest::from_json(&manifest.to_string()).unwrap().signed_bytes();
        manifest["signature"] = json!(self.sign(&signed));
    }
}

/// A world that serves packages of one vendor, with these terminals.
pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) server: Server,
    pub(crate) maker: Maker,
}

/// An event of the test's own.
pub(crate) fn event(kind: &'static str) -> Event {
    Event::new(0, kind, "test", "test", json!({}))
}

impl Shop {
    pub(crate) fn with(terminals: &[&Pos], tms: &str) -> Shop {
        Shop::with_options(terminals, &Options { more: format!("[tms]\n{tms}\n"), ..Options::default() })
    }

    pub(crate) fn with_options(terminals: &[&Pos], options: &Options) -> Shop {
        let world = World::new();
        let server = world.start(options);
        let shop = Shop { world, server, maker: Maker::new() };
        shop.report(terminals);
        fs::create_dir(shop.files()).unwrap();
        shop.put_vendor(shop.maker.vendor(&shop.files()));
        shop
    }

    /// Has the KLD report these terminals' DMKs.
    pub(crate) fn report(&self, terminals: &[&Pos]) {
        for (number, terminals) in terminals.chunks(100).enumerate() {
            let entries: Vec<_> = terminals
                .iter()
                .map(|terminal| {
                    let device = terminal.device();
                    let mut entry = device.entry();
                    entry["keys"] = json!([device.key_entry("dmk", 0, &terminal.dmk)]);
                    entry
                })
                .collect();
            let content = report(&format!("run-{number}"), &entries);
            let package = signed(&ESTATE.operator, &content);
            let answer = https::post(self.server.https, "/v1/kld-reports", CMS, &package);
            for result in results(&answer) {
                assert_eq!(result["code"], json!("taken"), "{result}");
            }
        }
    }

    pub(crate) fn files(&self) -> std::path::PathBuf {
        self.world.folder().join("vendor")
    }

    pub(crate) fn put_vendor(&self, vendor: Vendor) {
        self.server.block_on(self.server.store.put_vendor(vendor, event("vendor"))).unwrap();
    }

    pub(crate) fn config(&self) -> Config {
        Config::read(&self.world.folder().join("keyferry.toml")).unwrap()
    }

    pub(crate) fn publish(
        &self,
        manifest: &Value,
        approval: Option<&Value>,
    ) -> Result<Published, PublishError> {
        let manifest = Manifest::from_json(&manifest.to_string()).unwrap();
        let approval =
            approval.map(|approval| Approval::from_json(&approval.to_string(), &manifest).unwrap());
        let config = self.config();
        let published = publish(&config, &self.server.store, &manifest, approval.as_ref(), "test");
        self.server.block_on(published)
    }

    /// Publishes a package with this content; gives its id.
    pub(crate) fn package(&self, package: &str, version: &str, content: &[u8]) -> i64 {
        self.package_with(package, version, content, json!([]))
    }

    pub(crate) fn package_with(&self, package: &str, version: &str, content: &[u8], requires: Value) -> i64 {
        fs::write(self.files().join(format!("{package}-{version}.bin")), content).unwrap();
        let mut manifest = self.maker.manifest(package, version, content);
        manifest["requires"] = requires;
        self.publish(&manifest, None).unwrap().id
    }

    /// A deployment for all, at once.
    pub(crate) fn deployment(&self, package: i64) -> NewDeployment {
        NewDeployment {
            vendor: VENDOR.into(),
            package,
            target: Target::default(),
            from: 0,
            until: None,
            window: None,
            stages: vec![],
            stop_at: StopRule { failures_percent: 100, at_least: 1 },
            allow_downgrade: false,
        }
    }

    pub(crate) fn deploy(&self, deployment: NewDeployment) -> i64 {
        self.server.block_on(self.server.store.put_deployment(deployment, event("deployment"))).unwrap()
    }

    /// Publishes and deploys to all.
    pub(crate) fn roll_out(&self, package: &str, version: &str, content: &[u8]) -> i64 {
        self.deploy(self.deployment(self.package(package, version, content)))
    }

    pub(crate) fn set_state(&self, id: i64, to: DeploymentState) {
        use DeploymentState::{Paused, Running, Stopped};
        let store = &self.server.store;
        let set = store.set_deployment_state(id, &[Running, Paused, Stopped], to, event("state"));
        assert!(self.server.block_on(set).unwrap());
    }

    pub(crate) fn get_deployment(&self, id: i64) -> store::Deployment {
        self.server.block_on(self.server.store.deployment(id)).unwrap().unwrap()
    }
}

//! Which servers and which zones do these tests use?

use std::{net::SocketAddr, sync::Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData, date_time_ymd,
};
use ring::digest::{SHA256, SHA512, digest};
use sealpost::{
    host::listen::{Certificate, Event, Settings, Sink, Tls},
    smtp::server::fault::Faults,
};
use serde_json::Value;

use crate::common::{BACKENDS, MESSAGE, Run, Scratch, Sealpost, zone::Dns};

/// A smarthost that runs, and what TLSA records may say of it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Certificate, then key (SPKI), in DER: of the server itself, then of its authority.
    own: [Vec<u8>; 2],
    authority: [Vec<u8>; 2],
    /// The authority in PEM.
    pub(crate) ca: String,
    sink: Mutex<Sink>,
}

/// What is unusual about a server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    /// The names of its certificate.
    pub(crate) names: &'static [&'static str],
    pub(crate) expired: bool,
    /// It does not send its authority's certificate along.
    pub(crate) alone: bool,
    /// A fault of the sink.
    pub(crate) fault: &'static str,
    pub(crate) implicit: bool,
}

impl Server {
    pub(crate) fn start(shape: Shape) -> Self {
        let mut above = CertificateParams::default();
        above.distinguished_name.push(DnType::CommonName, "an authority that the zone names");
        above.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        above.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let above = CertifiedIssuer::self_signed(above, KeyPair::generate().unwrap()).unwrap();
        let names = shape.names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).unwrap();
        if shape.expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let key = KeyPair::generate().unwrap();
        let own = params.signed_by(&key, &above).unwrap();
        let scratch = Scratch::new();
        let chain = if shape.alone { own.pem() } else { own.pem() + &above.pem() };
        let settings = Settings {
            tls: if shape.implicit { Tls::Implicit } else { Tls::Starttls },
            certificate: Certificate::Files {
                chain: scratch.write("chain.pem", chain),
                key: scratch.write("key.pem", key.serialize_pem()),
            },
            faults: Faults::named(Some(shape.fault).filter(|fault| !fault.is_empty())),
            ..Settings::default()
        };
        let sink = Sink::start(settings).unwrap();
        Self {
            address: sink.address,
            own: [own.der().to_vec(), key.subject_public_key_info()],
            authority: [above.der().to_vec(), above.key().subject_public_key_info()],
            ca: above.pem(),
            sink: Mutex::new(sink),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// `_port._tcp.host TLSA …` that matches this server, as `kind` says: `3 1 1`.
    pub(crate) fn record(&self, host: &str, kind: &str) -> String {
        format!("{} TLSA {kind} {}\n", self.owner(host), self.data(kind))
    }

    /// The same with data that matches nothing.
    pub(crate) fn wrong_record(&self, host: &str, kind: &str) -> String {
        let data = self.data(kind);
        let (first, rest) = data.split_at(2);
        let first = if first == "00" { "ff" } else { "00" };
        format!("{} TLSA {kind} {first}{rest}\n", self.owner(host))
    }

    pub(crate) fn owner(&self, host: &str) -> String {
        format!("_{}._tcp.{host}", self.port())
    }

    /// The certificate association data.
    pub(crate) fn data(&self, kind: &str) -> String {
        let fields: Vec<usize> = kind.split(' ').map(|field| field.parse().unwrap()).collect();
        let side = if fields[0] == 2 { &self.authority } else { &self.own };
        let selected = side[fields[1]].as_slice();
        match fields[2] {
            0 => hex(selected),
            1 => hex(digest(&SHA256, selected).as_ref()),
            _ => hex(digest(&SHA512, selected).as_ref()),
        }
    }

    /// The name that the last message's client asked for; none where no message came since.
    pub(crate) fn sni(&self) -> Option<String> {
        let events: Vec<Event> = self.sink.lock().unwrap().events.try_iter().collect();
        events.into_iter().rev().find_map(|event| match event {
            Event::Delivered(delivery) => delivery.sni,
            Event::Trouble { .. } => None,
        })
    }
}

/// Sends a message through `host` with `[dns]` and the lines of `[accounts.relay]` and its TLS table, with each library that is
/// built in, to the same end.
pub(crate) fn send(dns: &str, account: &str, tls: &str) -> Run {
    let with =
        |backend: &&str| client(dns, account, &format!("{tls}\nbackend = {backend:?}")).send(&["ok@sink.test"], MESSAGE.as_bytes());
    let mut runs = BACKENDS.iter().map(with);
    let first = runs.next().unwrap();
    for other in runs {
        assert_eq!(came(&first), came(&other), "{first:?}\n{other:?}");
    }
    first
}

/// The binary with such a configuration.
pub(crate) fn client(dns: &str, account: &str, tls: &str) -> Sealpost {
    Sealpost::new(&format!("{dns}[accounts.relay]\n{account}\nfrom = \"cron@client.test\"\n[accounts.relay.tls]\n{tls}\n"))
}

/// What `sealpost check` says of such a configuration: its exit code, and the account as it tells of it.
pub(crate) fn check(client: &Sealpost) -> (i32, Value) {
    let config = client.scratch.path().join("config.toml");
    let run = client.command(&["check", "--json", "-C", config.to_str().unwrap()], b"");
    let told: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    (run.code, told["accounts"][0].clone())
}

/// Sends with `trust = "dane"`.
pub(crate) fn send_dane(dns: &Dns, host: &str, port: u16, policy: &str) -> Run {
    send(&dns.table(), &format!("host = {host:?}\nport = {port}"), &format!("trust = \"dane\"\npolicy = {policy:?}"))
}

/// What came of it: exit code, `tls.result`, `tls.failure`.
pub(crate) fn came(run: &Run) -> String {
    format!("{} {} {}", run.code, run.field("/tls/result"), run.field("/tls/failure")).trim_end().to_owned()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |text, octet| format!("{text}{octet:02x}"))
}

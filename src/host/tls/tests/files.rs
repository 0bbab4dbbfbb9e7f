//! What is said of files and names in the configuration that are of no use?

use super::{super::trust::system_bundle, *};

#[test]
fn an_internationalised_name_is_asked_for_in_ascii() {
    let target = config::Target::Name("bücher.test".to_owned(), 587);
    assert_eq!(server_name(&settings(Trust::System), &target).unwrap(), ServerName::try_from("xn--bcher-kva.test").unwrap());
}

#[test]
fn what_can_never_work_is_a_configuration_error_at_once() {
    let (missing, empty, root) = (PathBuf::from("/nonexistent/x.pem"), Scratch::new(""), Scratch::new(&World::new().root.pem()));
    let other = Scratch::new(&KeyPair::generate().unwrap().serialize_pem());
    let identity = |chain: &Path, key: &Path| config::Tls {
        client_identity: Some((chain.to_owned(), key.to_owned())),
        ..settings(Trust::System)
    };
    let table = [
        (config::Tls { server_name: Some("no name".to_owned()), ..settings(Trust::System) }, "no name"),
        (config::Tls { server_name: Some(String::new()), ..settings(Trust::System) }, "can't be a server's name"),
        (identity(&missing, &missing), "/nonexistent/x.pem"),
        (identity(&empty.0, &empty.0), "no certificate"),
        (identity(&root.0, &empty.0), "no private key"),
        (identity(&root.0, &other.0), "using client_cert"),
    ];
    for (settings, part) in table {
        for settings in with_each_backend(&settings) {
            let error = Connector::new(&settings, &target(), Known::Nothing).unwrap_err();
            assert_eq!(error.exit(), Exit::Config);
            assert!(error.summary().contains(part), "{error}");
        }
    }
}

#[test]
fn a_key_file_is_never_quoted_in_an_error() {
    let key = Scratch::new("-----BEGIN PRIVATE KEY---\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
    let chain = Scratch::new(&World::new().root.pem());
    let settings = config::Tls { client_identity: Some((chain.0.clone(), key.0.clone())), ..settings(Trust::Any) };
    let error = Connector::new(&settings, &target(), Known::Nothing).unwrap_err();
    assert!(!error.render("x").contains("c2Vj") && error.summary().contains("not valid PEM"), "{error}");
}

#[test]
fn authorities_that_cant_be_read_are_a_finding_that_names_the_file() {
    let world = World::new();
    let identity = world.issue(|_| ());
    let (root, empty) = (Scratch::new(&world.root.pem()), Scratch::new("no certificates"));
    let missing = PathBuf::from("/nonexistent/ca.pem");
    let table = [
        (config::Tls { ca_file: Some(missing.clone()), ..settings(Trust::System) }, "/nonexistent/ca.pem"),
        (config::Tls { ca_file: Some(empty.0.clone()), ..settings(Trust::System) }, "holds no certificate"),
        (
            config::Tls { ca_file: Some(root.0.clone()), crl_file: Some(missing), ..settings(Trust::System) },
            "crl_file /nonexistent",
        ),
    ];
    // What rustls alone looks at, native-tls is not asked for.
    let backends =
        |settings: &config::Tls| with_each_backend(settings).into_iter().take(settings.crl_file.as_ref().map_or(2, |_| 1));
    for (settings, part) in table.iter().flat_map(|(settings, part)| backends(settings).map(move |settings| (settings, part))) {
        let client = met(&settings, &target(), || server(&identity)).unwrap();
        let finding = client.verdict().unwrap_err();
        assert_eq!(finding.failure, Failure::ValidationFailure);
        assert!(finding.detail.contains(part), "{}", finding.detail);
    }
}

#[test]
fn the_systems_authorities_are_the_named_file_or_the_first_that_exists() {
    let (one, two) = (Scratch::new("one"), Scratch::new("two"));
    let path = |file: &Scratch| file.0.to_str().unwrap().to_owned();
    let places = ["/nonexistent/a", &path(&one), &path(&two)];
    let held = |(_, file): (PathBuf, io::Take<File>)| std::io::read_to_string(file).unwrap();
    assert_eq!(held(system_bundle(None, &places).unwrap()), "one");
    assert_eq!(held(system_bundle(Some("".into()), &places).unwrap()), "one");
    assert_eq!(held(system_bundle(Some(two.0.clone().into()), &places).unwrap()), "two");
    assert!(system_bundle(Some("/nonexistent/b".into()), &places).unwrap_err().contains("/nonexistent/b"));
    assert!(system_bundle(None, &["/nonexistent/a"]).unwrap_err().contains("ca-certificates"));
}

#[test]
fn what_is_no_file_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    assert!(system_bundle(Some(fifo.clone().into()), &[]).unwrap_err().contains("it is a FIFO"));
    assert!(identity(&fifo, &fifo).unwrap_err().because().contains("it is a FIFO"));
    let endless = Path::new("/dev/zero");
    assert!(identity(endless, endless).unwrap_err().because().contains("larger than 1 MiB"));
}

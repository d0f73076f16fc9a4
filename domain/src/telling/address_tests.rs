use super::*;

/// Judges an address that is written as one, by the rule alone.
fn written(url: &str, rules: &Rules) -> Result<(), String> {
    let hook = Webhook::parse(url)?;
    let ip = match &hook.host {
        Host::Ipv4(ip) => IpAddr::V4(*ip),
        Host::Ipv6(ip) => IpAddr::V6(*ip),
        Host::Domain(name) => panic!("{name} is to be looked up"),
    };
    judge(&hook.host, ip, false, rules)
}

#[test]
fn a_lab_and_the_world_are_told() {
    for right in ["https://93.184.216.34/x", "http://10.1.2.3:8080/", "http://192.168.7.7/", "https://[2606:4700::1]/"]
    {
        assert_eq!(written(right, &Rules::default()), Ok(()), "{right}");
    }
    let only_public = Rules { only_public: true, ..Rules::default() };
    for inside in ["http://10.1.2.3/", "http://172.16.0.1/", "http://100.64.0.1/", "http://[fd12::1]/"] {
        assert!(written(inside, &only_public).unwrap_err().contains("private network"), "{inside}");
    }
    assert_eq!(written("https://93.184.216.34/", &only_public), Ok(()));
}

#[test]
fn what_is_inside_is_refused_however_it_is_spelt() {
    for inside in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://127.0.0.1./",
        "http://\u{ff11}27.0.0.1/",
        "http://127。0。0。1/",
        "http://0/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[::ffff:0:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b:1::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[2001:0:1::1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://168.63.129.16/",
        "http://224.0.0.1/",
        "http://[ff02::1]/",
        "http://255.255.255.255/",
    ] {
        let judged = written(inside, &Rules::default());
        assert!(judged.as_ref().is_err_and(|why| why.contains("--allow-webhooks-to")), "{inside}: {judged:?}");
    }
}

#[test]
fn whoever_starts_it_may_allow_some_of_it_but_never_its_own_port() {
    let rules = |texts: &[&str]| Rules {
        allowed: texts.iter().map(|text| Allowed::parse(text).unwrap()).collect(),
        only_public: true,
        ..Rules::default()
    };
    let (loopback, local) = (IpAddr::from([127, 0, 0, 1]), Host::Domain("ntfy.lab".to_owned()));
    for allowed in [&["127.0.0.0/8"][..], &["127.0.0.1"], &["ntfy.lab"], &["NTFY.lab"], &["::1", "127.0.0.1"]] {
        assert_eq!(judge(&local, loopback, false, &rules(allowed)), Ok(()), "{allowed:?}");
        assert!(judge(&local, loopback, true, &rules(allowed)).unwrap_err().contains("itself"));
    }
    assert_eq!(judge(&local, "::ffff:127.0.0.1".parse().unwrap(), false, &rules(&["127.0.0.1"])), Ok(()));
    for not in [&["127.0.0.2"][..], &["other.lab"], &["lab"], &["10.0.0.0/8"]] {
        assert!(judge(&local, loopback, false, &rules(not)).is_err(), "{not:?}");
    }
    for wrong in ["", "a b", "0x7f.1", "10.0.0.0/33", "http://x/", "x:80"] {
        assert!(Allowed::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(Allowed::parse("[::1]"), Allowed::parse("::1"));
}

#[test]
fn an_address_is_taken_apart_once() {
    let hook = Webhook::parse("https://Hooks.Example.org:8443/a b?x=1#top".replace(' ', "%20").as_str()).unwrap();
    assert_eq!(hook.url, "https://hooks.example.org:8443/a%20b?x=1");
    assert_eq!((hook.authority().as_str(), hook.path.as_str()), ("hooks.example.org:8443", "/a%20b?x=1"));
    let hook = Webhook::parse("http://[2606:4700::1]").unwrap();
    assert_eq!((hook.authority().as_str(), hook.path.as_str(), hook.port), ("[2606:4700::1]", "/", 80));
}

#[test]
fn what_is_no_address_is_refused_with_a_reason() {
    for wrong in [
        "",
        "example.org",
        "ftp://example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://ann:secret@example.org/",
        "https://example.org/\r\nX-Evil: 1",
        "https://exa mple.org/",
        "https://example.org/\u{2028}",
        "https://example.org:0/",
        "https://",
        "https://256.256.256.256/",
        &format!("https://example.org/{}", "x".repeat(URL_BYTES_MAX)),
    ] {
        let why = Webhook::parse(wrong).unwrap_err();
        assert!(why.contains("no address for a webhook") && !why.contains('\r'), "{why}");
    }
}

#[test]
fn mail_goes_to_an_address_and_nothing_else() {
    for right in ["ann@example.org", "a.b+tandem@x", "root@[x"] {
        assert_eq!(check_mail(right).is_ok(), !right.contains('['), "{right}");
    }
    for wrong in [
        "",
        "ann",
        "@x",
        "ann@",
        "a@b@c",
        "ann@x\r\nBcc: all@x",
        "ann@x\n",
        "Ann <ann@x>",
        "\"a b\"@x",
        "änn@x",
        "a@x,b@x",
        "a@-x",
        "-oQ/tmp@x",
        &format!("{}@x", "a".repeat(260)),
    ] {
        assert!(check_mail(wrong).unwrap_err().contains("NAME@HOST"), "{wrong}");
    }
}

#[test]
fn another_address_of_this_machine_is_this_machine() {
    let own: IpAddr = "192.0.2.2".parse().unwrap();
    let rules = Rules { own: vec![own], ..Rules::default() };
    let host = Host::Ipv4("192.0.2.2".parse().unwrap());
    assert!(judge(&host, own, false, &rules).unwrap_err().contains("this machine itself"));
    assert!(judge(&host, "192.0.2.3".parse().unwrap(), false, &rules).is_ok());
    assert!(judge(&host, "::ffff:192.0.2.2".parse().unwrap(), false, &rules).is_err());
    let allowed = vec![Allowed::parse("192.0.2.2").unwrap()];
    assert!(judge(&host, own, false, &Rules { allowed, ..rules }).is_ok());
}

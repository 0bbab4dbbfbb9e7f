//! The order of RFC 2782, and how near a host is to a domain.

use super::*;

fn offer(host: &str, priority: u16, weight: u16) -> Offer {
    Offer { host: host.to_owned(), port: 587, priority, weight }
}

fn order(offers: &[Offer], chance: u32) -> String {
    let chance: Vec<u8> = chance.to_be_bytes().repeat(offers.len());
    ordered(offers.to_vec(), &chance).into_iter().map(|offer| offer.host).collect()
}

#[test]
fn priority_comes_first_and_within_it_the_weights_decide_by_chance() {
    let offers = [offer("c", 20, 0), offer("a", 10, 60), offer("b", 10, 40), offer("z", 10, 0)];
    // What is drawn runs from 0 to the sum of the weights: 0 is for those of weight 0.
    assert_eq!(order(&offers, 0), "zabc");
    assert_eq!(order(&offers, 60), "abzc", "the second time 60 % 41 = 19 is drawn, which is b's");
    assert_eq!(order(&offers, 100).chars().last(), Some('c'));
    assert_eq!(order(&offers, 61).chars().next(), Some('b'));
}

#[test]
fn each_offer_is_tried_once_whatever_chance_says() {
    let offers: Vec<Offer> = ('a'..='p').map(|host| offer(&host.to_string(), u16::from(host > 'h'), host as u16 % 3)).collect();
    for chance in [0, 1, 7, 99, u32::MAX] {
        let mut letters: Vec<char> = order(&offers, chance).chars().collect();
        letters.sort_unstable();
        assert_eq!(letters, ('a'..='p').collect::<Vec<_>>());
    }
    assert_eq!(ordered(offers, &[]).len(), 16, "without randomness too");
}

#[test]
fn a_host_is_within_its_domain_by_whole_labels() {
    for (host, domain, within) in [
        ("example.com", "example.com", true),
        ("MX.example.com", "Example.com", true),
        ("badexample.com", "example.com", false),
        ("example.com.evil.test", "example.com", false),
        ("com", "example.com", false),
    ] {
        assert_eq!(offer(host, 0, 0).is_within(domain), within, "{host}");
    }
}

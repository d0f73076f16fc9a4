//! Whether an identity may call a method.

use super::{
    identity::{Denial, Identity, Person},
    rules::{Least, Rule},
};

/// # Errors
/// Why it may not.
pub fn permit(rule: &Rule, identity: &Identity) -> Result<(), Denial> {
    let what = || rule.method.rsplit('/').next().unwrap_or(rule.method).to_owned();
    let too_low = |who: String, has: &'static str, needed: &'static str| {
        Err(Denial::RoleTooLow { what: what(), who, has, needed })
    };
    match (rule.least, identity) {
        (Least::Anybody, _) => Ok(()),
        (_, Identity::Person(Person { once: true, token: Some(token), .. })) if !rule.takes_once => {
            Err(Denial::Once(token.clone()))
        }
        (_, Identity::Nobody) => Err(Denial::NoToken),
        (Least::Worker, Identity::Worker(_)) => Ok(()),
        (Least::Scrape, Identity::Scrape(_) | Identity::Person(_)) => Ok(()),
        (Least::Scrape, Identity::Worker(_)) => too_low(identity.shown(), "worker", "scrape"),
        (Least::Worker, _) => Err(Denial::WorkersOnly { what: what() }),
        (Least::Person(needed), Identity::Person(person)) if person.role >= needed => Ok(()),
        (Least::Person(needed), Identity::Person(person)) => {
            too_low(person.name.clone(), person.role.word(), needed.word())
        }
        (Least::Person(needed), Identity::Worker(_)) => too_low(identity.shown(), "worker", needed.word()),
        (Least::Person(needed), Identity::Scrape(_)) => too_low(identity.shown(), "scrape", needed.word()),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            role::PersonRole,
            rules::{RULES, rule_of},
            token::TokenId,
        },
        *,
    };

    fn person(role: PersonRole) -> Identity {
        Identity::Person(Person::without_token("ann".to_owned(), role))
    }

    #[test]
    fn every_method_has_one_line() {
        for rule in RULES {
            assert_eq!(RULES.iter().filter(|other| other.method == rule.method).count(), 1, "{}", rule.method);
        }
    }

    #[test]
    fn each_role_may_what_the_one_below_may_and_a_worker_nothing_else() {
        let token = TokenId::parse("abcdefgh").unwrap();
        let (worker, scrape) = (Identity::Worker(token.clone()), Identity::Scrape(token));
        let may = |method: &str, identity: &Identity| permit(rule_of(method).unwrap(), identity).is_ok();
        for rule in RULES {
            let allowed: Vec<bool> = PersonRole::ALL.iter().map(|role| permit(rule, &person(*role)).is_ok()).collect();
            assert!(allowed.is_sorted(), "{}: {allowed:?}", rule.method);
            let anybody = rule.least == Least::Anybody;
            assert_eq!(permit(rule, &Identity::Nobody).is_ok(), anybody, "{}", rule.method);
            let metrics = rule.least == Least::Scrape;
            assert_eq!(permit(rule, &scrape).is_ok(), anybody || metrics, "{}", rule.method);
            let session = rule.method == "/tandem.v1.Workers/Session";
            assert_eq!(permit(rule, &worker).is_ok(), anybody || session, "{}", rule.method);
        }
        let (reader, submitter) = (person(PersonRole::Reader), person(PersonRole::Submitter));
        assert!(may("/tandem.v1.Jobs/Show", &reader) && !may("/tandem.v1.Jobs/Submit", &reader));
        assert!(may("/tandem.v1.Jobs/Cancel", &submitter) && !may("/tandem.v1.People/SetPerson", &submitter));
        assert!(!may("/tandem.v1.Workers/Session", &person(PersonRole::Admin)), "nobody speaks for a worker");
    }

    #[test]
    fn a_token_that_is_good_once_makes_another_and_no_more() {
        let token = TokenId::parse("abcdefgh").ok();
        let once = Identity::Person(Person {
            name: "ann".to_owned(),
            role: PersonRole::Admin,
            token,
            once: true,
            origin: String::new(),
        });
        let taken = RULES.iter().filter(|rule| rule.least != Least::Anybody && permit(rule, &once).is_ok());
        let methods: Vec<_> = taken.map(|rule| rule.method).collect();
        assert_eq!(methods, ["/tandem.v1.People/WhoAmI", "/tandem.v1.People/NewToken"]);
    }

    #[test]
    fn a_refusal_says_which_role_it_takes() {
        let rule = rule_of("/tandem.v1.Jobs/Submit").unwrap();
        let said = permit(rule, &person(PersonRole::Reader)).unwrap_err().to_string();
        assert_eq!(said, "Submit needs the role submitter; ann has the role reader");
    }
}

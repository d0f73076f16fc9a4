//! Which methods are offered by URL, as JSON: each by its own rule.

use super::rules::{Rule, rule_of};

/// What stands before `Service/Method`.
pub const AT: &str = "/api/v1/";
/// The description of all that is offered by URL.
pub const DOCUMENT: &str = "/api/v1/openapi.json";

/// By GET: they change nothing.
pub const READS: &[&str] = &[
    "/tandem.v1.Jobs/List",
    "/tandem.v1.Jobs/Experiments",
    "/tandem.v1.Jobs/Show",
    "/tandem.v1.Jobs/Watch",
    "/tandem.v1.Jobs/Logs",
    "/tandem.v1.Jobs/Why",
    "/tandem.v1.Results/Query",
    "/tandem.v1.Results/Ask",
    "/tandem.v1.Results/ListViews",
    "/tandem.v1.Results/Metrics",
    "/tandem.v1.Results/Receipt",
    "/tandem.v1.Results/ReceiptKeys",
    "/tandem.v1.Data/List",
    "/tandem.v1.Fleet/Status",
    "/tandem.v1.Policies/Get",
    "/tandem.v1.Policies/History",
    "/tandem.v1.Devices/Show",
    "/tandem.v1.Devices/Usage",
    "/tandem.v1.People/WhoAmI",
    "/tandem.v1.People/ListPeople",
    "/tandem.v1.People/ListTokens",
    "/tandem.v1.People/Audit",
    "/tandem.v1.Notify/List",
    "/tandem.v1.Keeping/WouldClean",
    "/tandem.v1.Keeping/Stored",
];

/// By POST.
pub const WRITES: &[&str] = &["/tandem.v1.Jobs/Submit", "/tandem.v1.Jobs/Cancel"];

/// The method that is called by a URL's path, as in `/api/v1/Jobs/List`.
#[must_use]
pub fn method_of(path: &str) -> Option<&'static str> {
    let name = path.strip_prefix(AT)?;
    READS.iter().chain(WRITES).copied().find(|method| method.strip_prefix("/tandem.v1.") == Some(name))
}

/// Whether a table is at this path: a file for programs, and for who looks at pages.
#[must_use]
pub fn is_table(path: &str) -> bool {
    path.starts_with("/results.") || (path.starts_with("/jobs/") && path.contains("/curves."))
}

/// The rule of a URL's path; `None` if there is nothing.
#[must_use]
pub fn rule_of_url(path: &str) -> Option<&'static Rule> {
    if path == DOCUMENT {
        return rule_of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
    }
    rule_of(method_of(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_the_rule_of_its_method_and_nothing_else_has_one() {
        for method in READS.iter().chain(WRITES) {
            let path = format!("{AT}{}", method.strip_prefix("/tandem.v1.").unwrap());
            assert_eq!(rule_of_url(&path).unwrap().method, *method);
        }
        assert!(rule_of_url(DOCUMENT).is_some());
        for path in
            ["/api/v1/", "/api/v1/Jobs", "/api/v1/Jobs/Pause", "/api/v1/Results/Fetch", "/api/v1/Jobs/List/", "/api"]
        {
            assert!(rule_of_url(path).is_none(), "{path}");
        }
    }
}

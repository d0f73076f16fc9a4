//! The one table of rules: for every method, who may call it and on whose things.
//!
//! `proto/build.rs` reads this file too, and refuses a method of ours that has no line, or a line that has no method. So it
//! names nothing but the roles.

use super::role::PersonRole;

/// Who may call a method at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Least {
    /// Everybody who reaches the port.
    Anybody,
    Person(PersonRole),
    /// A worker, by its token.
    Worker,
    /// A program that reads metrics, by its token, and every person.
    Scrape,
}

/// On whose things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// Of the house as a whole, or of everybody.
    Any,
    /// Of the caller; of others by an admin only. The method itself looks at whose they are.
    Own,
    /// Of the worker that its token is bound to.
    OwnWorker,
}

#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// As in the path of a request.
    pub method: &'static str,
    pub least: Least,
    pub object: Object,
    /// By a token that is good once, too.
    pub takes_once: bool,
    /// It may stay open for long, and ends when its caller may not go on. Of other calls what is still being asked ends then;
    /// what was asked in whole is answered, such as to revoke the token that it came with.
    pub streams: bool,
}

const READER: Least = Least::Person(PersonRole::Reader);
const SUBMITTER: Least = Least::Person(PersonRole::Submitter);
const ADMIN: Least = Least::Person(PersonRole::Admin);

const fn rule(method: &'static str, least: Least, object: Object) -> Rule {
    Rule { method, least, object, takes_once: false, streams: false }
}

const fn stream(method: &'static str, least: Least, object: Object) -> Rule {
    Rule { streams: true, ..rule(method, least, object) }
}

/// One of those that exchange a token which is good once.
const fn exchange(method: &'static str) -> Rule {
    Rule { takes_once: true, ..rule(method, READER, Object::Own) }
}

pub const RULES: &[Rule] = &[
    rule("/tandem.v1.Jobs/Submit", SUBMITTER, Object::Own),
    rule("/tandem.v1.Jobs/List", READER, Object::Any),
    rule("/tandem.v1.Jobs/Experiments", READER, Object::Any),
    rule("/tandem.v1.Jobs/Show", READER, Object::Any),
    stream("/tandem.v1.Jobs/Watch", READER, Object::Any),
    stream("/tandem.v1.Jobs/Logs", READER, Object::Any),
    rule("/tandem.v1.Jobs/Cancel", SUBMITTER, Object::Own),
    rule("/tandem.v1.Jobs/Pause", SUBMITTER, Object::Own),
    rule("/tandem.v1.Jobs/Resume", SUBMITTER, Object::Own),
    rule("/tandem.v1.Jobs/Requeue", SUBMITTER, Object::Own),
    rule("/tandem.v1.Jobs/SetPriority", SUBMITTER, Object::Own),
    rule("/tandem.v1.Jobs/Why", READER, Object::Any),
    rule("/tandem.v1.Results/Query", READER, Object::Any),
    rule("/tandem.v1.Results/Ask", READER, Object::Any),
    rule("/tandem.v1.Results/SaveView", READER, Object::Own),
    rule("/tandem.v1.Results/ListViews", READER, Object::Any),
    rule("/tandem.v1.Results/RemoveView", READER, Object::Own),
    rule("/tandem.v1.Results/Metrics", READER, Object::Any),
    stream("/tandem.v1.Results/Fetch", READER, Object::Any),
    rule("/tandem.v1.Results/Receipt", READER, Object::Any),
    rule("/tandem.v1.Results/ReceiptKeys", READER, Object::Any),
    rule("/tandem.v1.Results/Reproduce", SUBMITTER, Object::Own),
    stream("/tandem.v1.Results/Import", SUBMITTER, Object::Own),
    rule("/tandem.v1.Data/List", READER, Object::Any),
    stream("/tandem.v1.Data/Put", SUBMITTER, Object::Own),
    rule("/tandem.v1.Data/Remove", SUBMITTER, Object::Own),
    rule("/tandem.v1.Fleet/Status", READER, Object::Any),
    rule("/tandem.v1.Fleet/Release", ADMIN, Object::Any),
    rule("/tandem.v1.Fleet/Hold", SUBMITTER, Object::Any),
    rule("/tandem.v1.Fleet/Unhold", SUBMITTER, Object::Own),
    rule("/tandem.v1.Fleet/Drain", ADMIN, Object::Any),
    rule("/tandem.v1.Fleet/Undrain", ADMIN, Object::Any),
    rule("/tandem.v1.Policies/Get", READER, Object::Any),
    rule("/tandem.v1.Policies/Set", ADMIN, Object::Any),
    rule("/tandem.v1.Policies/History", READER, Object::Any),
    rule("/tandem.v1.Devices/Show", READER, Object::Any),
    rule("/tandem.v1.Devices/Usage", READER, Object::Any),
    stream("/tandem.v1.Workers/Session", Least::Worker, Object::OwnWorker),
    exchange("/tandem.v1.People/WhoAmI"),
    rule("/tandem.v1.People/ListPeople", ADMIN, Object::Any),
    rule("/tandem.v1.People/SetPerson", ADMIN, Object::Any),
    exchange("/tandem.v1.People/NewToken"),
    rule("/tandem.v1.People/ListTokens", READER, Object::Own),
    rule("/tandem.v1.People/RevokeToken", READER, Object::Own),
    rule("/tandem.v1.People/Audit", ADMIN, Object::Any),
    rule("/tandem.v1.Notify/List", READER, Object::Own),
    rule("/tandem.v1.Notify/Set", SUBMITTER, Object::Own),
    rule("/tandem.v1.Notify/Remove", READER, Object::Own),
    rule("/tandem.v1.Notify/Test", SUBMITTER, Object::Own),
    rule("/tandem.v1.Keeping/Tag", SUBMITTER, Object::Own),
    rule("/tandem.v1.Keeping/Note", SUBMITTER, Object::Own),
    rule("/tandem.v1.Keeping/Archive", SUBMITTER, Object::Own),
    rule("/tandem.v1.Keeping/Delete", SUBMITTER, Object::Own),
    rule("/tandem.v1.Keeping/Clean", ADMIN, Object::Any),
    rule("/tandem.v1.Keeping/WouldClean", READER, Object::Any),
    rule("/tandem.v1.Keeping/Stored", READER, Object::Any),
    // A page.
    rule("/metrics", Least::Scrape, Object::Any),
    rule("/tandem.v1.People/WebCode", READER, Object::Own),
    rule("/tandem.v1.People/WebCodeState", READER, Object::Own),
    // Not ours, but on the same port.
    rule("/grpc.health.v1.Health/Check", Least::Anybody, Object::Any),
    rule("/grpc.health.v1.Health/List", Least::Anybody, Object::Any),
    stream("/grpc.health.v1.Health/Watch", Least::Anybody, Object::Any),
    stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", READER, Object::Any),
    stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", READER, Object::Any),
];

/// The rule of a method; `None` if there is no such method.
pub fn rule_of(method: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.method == method)
}

//! The join file of each worker: where the coordinator is, whom to trust there, and a token of its own.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result};
use tandem_connect::{Address, House, JoinFile, look::look, pin::pin, secret};
use tandem_domain::access::{TokenRole, token::Token};
use tandem_proto::v1::{self, ListTokensRequest, NewTokenRequest, RevokeTokenRequest};

use super::{announced::Announcement, plan::WorkerPlan};
use crate::{
    client::Client,
    exit::{Exit, Failure},
    home::Home,
};

/// Where workers reach this coordinator, and whom they trust there; no token.
pub(crate) async fn way(announced: &Announcement) -> Result<JoinFile> {
    let wrong = |why: String| Failure::error(Exit::Config, format!("cannot let workers join the coordinator: {why}"));
    let address: Address = announced.address.parse().map_err(wrong)?;
    let house = match &address {
        Address::Https(at) => {
            let fingerprint = announced.fingerprint.as_deref().unwrap_or_default().parse().map_err(wrong)?;
            let chain = look(&address).await.map_err(wrong)?;
            Some(pin(at, &chain, fingerprint).map_err(|untrusted| wrong(untrusted.to_string()))?)
        }
        Address::Http(_) | Address::Unix(_) => None::<House>,
    };
    Ok(JoinFile { servers: vec![address], house, token: None })
}

/// Writes the join file of each worker. A token that is still good is kept.
pub(crate) async fn write(home: &Home, client: &Client, way: &JoinFile, workers: &[WorkerPlan]) -> Result<()> {
    if workers.is_empty() {
        return Ok(());
    }
    let request = ListTokensRequest { all: true };
    let listed = client.ask("list the workers' tokens", async |on| on.people().list_tokens(request).await).await?;
    let good = good_workers(&listed.tokens);
    for worker in workers {
        let path = home.worker_join(&worker.name);
        let token = match kept(&path).filter(|token| good.contains(token.id().as_str())) {
            Some(token) => token,
            None => {
                for id in of_worker(&listed.tokens, &worker.name) {
                    revoke(client, id).await?;
                }
                new(client, &worker.name).await?
            }
        };
        // Written even so: the coordinator's address may be another.
        let joined = JoinFile { token: Some(token), ..way.clone() };
        joined.write(&path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn good_workers(tokens: &[v1::Token]) -> BTreeSet<&str> {
    let is_good = |token: &&v1::Token| token.state == "good" && token.role == TokenRole::Worker.word();
    tokens.iter().filter(is_good).map(|token| token.id.as_str()).collect()
}

/// Good tokens that were made for the worker of that name here, whose file is lost: a worker has one good token at a time.
fn of_worker<'t>(tokens: &'t [v1::Token], name: &str) -> Vec<&'t str> {
    let good = good_workers(tokens);
    let is_meant = |token: &&v1::Token| token.name == name && token.worker == name && good.contains(token.id.as_str());
    tokens.iter().filter(is_meant).map(|token| token.id.as_str()).collect()
}

async fn revoke(client: &Client, id: &str) -> Result<()> {
    let request = RevokeTokenRequest { id: id.to_owned() };
    let tried = format!("revoke the token {id}, whose file is lost");
    client.ask(&tried, async |on| on.people().revoke_token(request.clone()).await).await?;
    Ok(())
}

/// A file that cannot be used is replaced, like one that is not there.
fn kept(path: &Path) -> Option<Token> {
    JoinFile::read(path).ok()?.token
}

async fn new(client: &Client, worker: &str) -> Result<Token> {
    let role = TokenRole::Worker.word().to_owned();
    let request = NewTokenRequest { name: worker.to_owned(), role, ..NewTokenRequest::default() };
    let tried = format!("make a token for the worker {worker}");
    // Asked twice, it makes two; the first is then nobody's, and an admin sees that it was never used.
    let answer = client.ask(&tried, async |on| on.people().new_token(request.clone()).await).await?;
    let token = secret::parse_token(&answer.secret);
    token.map_err(|why| Failure::error(Exit::Internal, format!("the coordinator made no token for {worker}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(id: &str, role: &str, state: &str) -> v1::Token {
        v1::Token { id: id.to_owned(), role: role.to_owned(), state: state.to_owned(), ..v1::Token::default() }
    }

    #[test]
    fn only_a_workers_good_token_is_used_again() {
        let tokens = [
            listed("good", "worker", "good"),
            listed("revoked", "worker", "revoked"),
            listed("expired", "worker", "expired"),
            listed("person", "admin", "good"),
        ];
        assert_eq!(good_workers(&tokens), BTreeSet::from(["good"]));
    }

    #[test]
    fn the_token_of_a_lost_file_makes_room_for_another_and_nobody_elses_does() {
        let named = |id: &str, name: &str, worker: &str, state: &str| v1::Token {
            name: name.to_owned(),
            worker: worker.to_owned(),
            ..listed(id, "worker", state)
        };
        let tokens = [
            named("lost", "cpu-0", "cpu-0", "good"),
            named("old", "cpu-0", "cpu-0", "revoked"),
            named("other", "cpu-1", "cpu-1", "good"),
            named("afar", "box", "cpu-0", "good"),
            named("unused", "cpu-0", "", "good"),
        ];
        assert_eq!(of_worker(&tokens, "cpu-0"), ["lost"]);
    }

    #[tokio::test]
    async fn a_plain_coordinator_is_trusted_on_this_machine() {
        let announced = |address: &str, fingerprint: Option<&str>| Announcement {
            address: address.to_owned(),
            socket: None,
            fingerprint: fingerprint.map(str::to_owned),
        };
        let plain = way(&announced("http://127.0.0.1:7077", None)).await.unwrap();
        assert_eq!((plain.servers[0].to_string().as_str(), plain.house), ("http://127.0.0.1:7077", None));
        let error = way(&announced("https://127.0.0.1:7077", None)).await.unwrap_err().to_string();
        assert!(error.contains("no fingerprint"), "{error}");
    }
}

//! `tandem.v1.People`.

use std::time::Duration;

use tandem_domain::access::Identity;
use tandem_proto::{
    convert::{optional_moment, timestamp},
    v1,
    v1::people_server::People,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Api, admission::check_texts, caller};
use crate::{
    access::holder,
    error::Error,
    listen::peer::Peer,
    people::{self, Change, Wanted},
    query::jobs::limited,
    store::{audit, people as rows, people::PersonRow, sessions, targets::Target, tokens::TokenRow},
    target::resolve,
    web,
};

#[async_trait]
impl People for Api {
    async fn who_am_i(&self, request: Request<v1::WhoAmIRequest>) -> Result<Response<v1::WhoAmIResponse>, Status> {
        let person = caller(&request)?;
        let token_id = person.token.map(|id| id.to_string()).unwrap_or_default();
        Ok(Response::new(v1::WhoAmIResponse {
            name: person.name,
            role: person.role.to_string(),
            token_id,
            once: person.once,
        }))
    }

    async fn list_people(&self, _: Request<v1::ListPeopleRequest>) -> Result<Response<v1::ListPeopleResponse>, Status> {
        let list = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(rows::list(&mut conn, None).await.map_err(Error::from)?)
        };
        let people = self.admission.call(list).await?.into_iter().map(person).collect();
        Ok(Response::new(v1::ListPeopleResponse { people }))
    }

    async fn set_person(
        &self,
        request: Request<v1::SetPersonRequest>,
    ) -> Result<Response<v1::SetPersonResponse>, Status> {
        let by = caller(&request)?;
        let v1::SetPersonRequest { name, create, role, login, disabled } = request.into_inner();
        check_texts(&[
            ("name", &name),
            ("role", role.as_deref().unwrap_or_default()),
            ("login", login.as_deref().unwrap_or_default()),
        ])?;
        let change = Change { name, create, role, login, disabled };
        let set = async {
            let set = people::set_person(&self.store, &by, &change).await;
            Ok(self.noted(&by, "People/SetPerson", &change.name, set)?)
        };
        let (row, cancelled) = self.admission.call(set).await?;
        self.access_changed().await;
        let cancelled = u32::try_from(cancelled).unwrap_or(u32::MAX);
        Ok(Response::new(v1::SetPersonResponse { person: Some(person(row)), cancelled }))
    }

    async fn new_token(&self, request: Request<v1::NewTokenRequest>) -> Result<Response<v1::NewTokenResponse>, Status> {
        let by = caller(&request)?;
        let v1::NewTokenRequest { name, role, person, expires_in_seconds } = request.into_inner();
        check_texts(&[("name", &name), ("role", &role), ("person", &person)])?;
        let wanted = Wanted { name, role, person, expires_in: expires_in_seconds.map(Duration::from_secs) };
        let make = async {
            let made = people::new_token(&self.store, &by, &wanted).await;
            Ok(self.noted(&by, "People/NewToken", &wanted.name, made)?)
        };
        let (secret, row) = self.admission.call(make).await?;
        self.access_changed().await;
        Ok(Response::new(v1::NewTokenResponse { token: Some(token(row)), secret: secret.reveal().to_owned() }))
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let by = caller(&request)?;
        let all = request.into_inner().all;
        let list = async {
            let listed = people::list_tokens(&self.store, &by, all).await;
            Ok(self.noted(&by, "People/ListTokens", "all", listed)?)
        };
        let tokens = self.admission.call(list).await?.into_iter().map(token).collect();
        Ok(Response::new(v1::ListTokensResponse { tokens }))
    }

    async fn audit(&self, request: Request<v1::AuditRequest>) -> Result<Response<v1::AuditResponse>, Status> {
        let own = caller(&request)?.name;
        let v1::AuditRequest { user, since, job, limit } = request.into_inner();
        check_texts(&[("user", &user), ("job", &job)])?;
        let question = audit::Question {
            who: Some(user).filter(|user| !user.is_empty()),
            since: optional_moment("since", since)?,
            job: None,
            limit: limited(limit),
        };
        let list = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            let job = match job.as_str() {
                "" => None,
                text => match resolve(&mut conn, text, &own).await? {
                    Target::Job(id) => Some(id),
                    Target::Experiment(_) => {
                        return Err(Error::Invalid(format!("`{text}` is an experiment; name a job")).into());
                    }
                },
            };
            let question = audit::Question { job, ..question };
            Ok(audit::list(&mut conn, &question).await.map_err(Error::from)?)
        };
        let entries = self.admission.call(list).await?.into_iter().map(entry).collect();
        Ok(Response::new(v1::AuditResponse { entries }))
    }

    async fn web_code(&self, request: Request<v1::WebCodeRequest>) -> Result<Response<v1::WebCodeResponse>, Status> {
        let peer = request.extensions().get::<Peer>().copied();
        let holder = peer.and_then(|peer| holder(&Identity::Person(caller(&request).ok()?), peer));
        let by = caller(&request)?;
        let holder = holder.ok_or_else(|| Error::Bug("it is not known what the caller is known by".to_owned()))?;
        let make = async { Ok(web::new_code(&self.store, &by, &holder).await?) };
        let (secret, id) = self.admission.call(make).await?;
        Ok(Response::new(v1::WebCodeResponse {
            code: secret.reveal().to_owned(),
            id: id.to_string(),
            expires_in_seconds: u32::try_from(web::CODE_LASTS.as_secs()).unwrap_or(u32::MAX),
            address: self.page_address.clone(),
        }))
    }

    async fn web_code_state(
        &self,
        request: Request<v1::WebCodeStateRequest>,
    ) -> Result<Response<v1::WebCodeStateResponse>, Status> {
        caller(&request)?;
        // Random, and told to who made it: whoever knows one may ask.
        let id = request.into_inner().id.parse().map_err(|_| Error::Invalid("expected the id of a code".to_owned()))?;
        let look = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(sessions::is_used(&mut conn, id).await.map_err(Error::from)?)
        };
        Ok(Response::new(v1::WebCodeStateResponse { used: self.admission.call(look).await? }))
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let by = caller(&request)?;
        let id = request.into_inner().id;
        check_texts(&[("id", &id)])?;
        let revoke = async { Ok(people::revoke_token(&self.store, &by, &id).await?) };
        let row = self.admission.call(revoke).await?;
        self.access_changed().await;
        Ok(Response::new(v1::RevokeTokenResponse { token: Some(token(row)) }))
    }
}

impl Api {
    /// Before the answer: whoever reads it finds that it holds.
    async fn access_changed(&self) {
        if let Err(error) = self.gate.refresh().await {
            tracing::warn!(%error, "what was changed of people and tokens holds in a moment");
        }
        self.gate.sweep().await;
    }
}

fn entry(row: audit::Row) -> v1::AuditEntry {
    v1::AuditEntry {
        at: Some(timestamp(row.at)),
        who: row.who,
        via: row.via,
        origin: row.origin,
        what: row.what,
        object: row.object,
        whose: row.whose,
        outcome: row.outcome,
    }
}

fn person(row: PersonRow) -> v1::Person {
    v1::Person {
        name: row.name,
        role: row.role,
        login: row.login.unwrap_or_default(),
        disabled: row.disabled,
        made_at: Some(timestamp(row.made_at)),
        tokens: u32::try_from(row.tokens).unwrap_or(u32::MAX),
    }
}

fn token(row: TokenRow) -> v1::Token {
    v1::Token {
        id: row.id,
        name: row.name,
        role: row.role,
        person: row.person.unwrap_or_default(),
        state: row.state,
        made_at: Some(timestamp(row.made_at)),
        expires_at: row.expires_at.map(timestamp),
        last_used: row.last_used_at.map(timestamp),
        worker: row.worker.unwrap_or_default(),
    }
}

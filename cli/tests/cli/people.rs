//! The people and tokens of the scripted coordinator.

use tandem_domain::access::{
    PersonRole, TokenRole,
    token::{self, RANDOM_BYTES},
};
use tandem_proto::v1::{
    AuditRequest, AuditResponse, ListPeopleRequest, ListPeopleResponse, ListTokensRequest, ListTokensResponse,
    NewTokenRequest, NewTokenResponse, Person, RevokeTokenRequest, RevokeTokenResponse, SetPersonRequest,
    SetPersonResponse, Token, WebCodeRequest, WebCodeResponse, WebCodeStateRequest, WebCodeStateResponse,
    WhoAmIRequest, WhoAmIResponse, people_server::People,
};
use tonic::{Request, Response, Status};

use crate::coordinator::{Answer, Coordinator};

/// One whose form is right.
pub(crate) fn secret(byte: u8) -> String {
    token::Token::new(TokenRole::Person(PersonRole::Submitter), &[byte; RANDOM_BYTES]).reveal().to_owned()
}

#[tonic::async_trait]
impl People for Coordinator {
    async fn who_am_i(&self, request: Request<WhoAmIRequest>) -> Answer<WhoAmIResponse> {
        let mut script = self.script();
        let header = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        script.authorizations.push(header.clone());
        match header {
            Some(_) if script.unknown_token => Err(Status::unauthenticated("this token is not known here")),
            Some(header) => {
                let id = header.trim_start_matches("Bearer ")[5..13].to_owned();
                let name = script.names.get(&header).cloned();
                Ok(Response::new(WhoAmIResponse {
                    name: name.unwrap_or_else(|| "ann".to_owned()),
                    role: "submitter".to_owned(),
                    token_id: id,
                    once: script.once_token,
                }))
            }
            None => {
                let (name, role) = ("login:ann".to_owned(), "submitter".to_owned());
                Ok(Response::new(WhoAmIResponse { name, role, token_id: String::new(), once: false }))
            }
        }
    }

    async fn audit(&self, _: Request<AuditRequest>) -> Answer<AuditResponse> {
        Ok(Response::new(AuditResponse { entries: self.script().audit.clone() }))
    }

    async fn web_code(&self, _: Request<WebCodeRequest>) -> Answer<WebCodeResponse> {
        let (code, id) = ("c0de".to_owned(), "0f".to_owned());
        let address = "http://127.0.0.1:7077".to_owned();
        Ok(Response::new(WebCodeResponse { code, id, expires_in_seconds: 60, address }))
    }

    async fn web_code_state(&self, _: Request<WebCodeStateRequest>) -> Answer<WebCodeStateResponse> {
        let asked = &mut self.script().web_code_asked;
        *asked += 1;
        // Not at once.
        Ok(Response::new(WebCodeStateResponse { used: *asked > 1 }))
    }

    async fn list_people(&self, _: Request<ListPeopleRequest>) -> Answer<ListPeopleResponse> {
        Ok(Response::new(ListPeopleResponse { people: self.script().people.clone() }))
    }

    async fn set_person(&self, request: Request<SetPersonRequest>) -> Answer<SetPersonResponse> {
        let mut script = self.script();
        let set = request.into_inner();
        let person = Person {
            name: set.name.clone(),
            role: set.role.clone().unwrap_or_else(|| "reader".to_owned()),
            login: set.login.clone().unwrap_or_default(),
            disabled: set.disabled.unwrap_or_default(),
            ..Person::default()
        };
        let cancelled = if person.disabled { 2 } else { 0 };
        script.set_people.push(set);
        Ok(Response::new(SetPersonResponse { person: Some(person), cancelled }))
    }

    async fn new_token(&self, request: Request<NewTokenRequest>) -> Answer<NewTokenResponse> {
        let mut script = self.script();
        let asked = request.into_inner();
        let byte = u8::try_from(script.new_tokens.len()).unwrap();
        let secret = secret(byte);
        let role = if asked.role.is_empty() { "submitter".to_owned() } else { asked.role.clone() };
        let token = Token {
            id: token::Token::parse(&secret).unwrap().id().to_string(),
            name: asked.name.clone(),
            role,
            person: asked.person.clone(),
            state: "good".to_owned(),
            ..Token::default()
        };
        script.new_tokens.push(asked);
        script.tokens.push(token.clone());
        Ok(Response::new(NewTokenResponse { token: Some(token), secret }))
    }

    async fn list_tokens(&self, _: Request<ListTokensRequest>) -> Answer<ListTokensResponse> {
        Ok(Response::new(ListTokensResponse { tokens: self.script().tokens.clone() }))
    }

    async fn revoke_token(&self, request: Request<RevokeTokenRequest>) -> Answer<RevokeTokenResponse> {
        let mut script = self.script();
        let id = request.into_inner().id;
        let token = script.tokens.iter_mut().find(|token| token.id == id);
        let token = token.ok_or_else(|| Status::not_found(format!("no token {id}")))?;
        token.state = "revoked".to_owned();
        Ok(Response::new(RevokeTokenResponse { token: Some(token.clone()) }))
    }
}

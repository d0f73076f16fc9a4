//! Begins and ends the session of a browser: by a token, or by the code that `tandem web` asked for.

use askama::Template;
use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use form_urlencoded::parse;
use tandem_domain::access::session::Secret;

use super::{
    answer::{Answer, Problem},
    block::html,
    form::{Form, own_path},
    frame::{self, Content},
    house::House,
    origin::{Origin, origin},
    text::Text,
};
use crate::{
    access::cookie::Sent,
    listen::peer::Peer,
    web::{self, LASTS},
};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginForm {
    next: Text,
    problem: Option<Text>,
}

/// Asks whoever looks whether it is they who want to be logged in. A form of a file has no origin, and neither has one that another
/// site hides: who is sent a code of somebody else's would work as that one, unaware.
#[derive(Template)]
#[template(path = "login_ask.html")]
struct Ask {
    name: Text,
    code: Text,
}

/// What a form of the login asks for comes to.
enum Step {
    Begun(Secret),
    Ask { name: String },
}

pub(super) async fn show(
    State(house): State<House>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let next = parse(uri.query().unwrap_or_default().as_bytes()).find(|(key, _)| key == "next");
    let next = next.map(|(_, value)| value.into_owned()).unwrap_or_default();
    let next = own_path(&next).unwrap_or("/");
    let sent = house.cookies.session(&headers);
    if let Sent::Session(secret) = &sent
        && house.gate.identify_browser(peer, secret).await.is_ok()
    {
        return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, next.to_owned())]).into_response());
    }
    let mut answer = form(&house, &headers, next, None)?;
    if sent != Sent::Nothing {
        answer.headers_mut().append(header::SET_COOKIE, house.cookies.clear());
    }
    Ok(answer)
}

fn form(house: &House, headers: &HeaderMap, next: &str, problem: Option<&str>) -> Answer {
    let login = html(&LoginForm { next: Text::line(next), problem: problem.map(Text::lines) })?;
    let title = Text::line("Log in");
    let content = Content { title: &title, heading: &title, path: "/login", live: "", html: &login };
    frame::page(house, headers, None, &content)
}

fn ask(house: &House, headers: &HeaderMap, name: &str, code: &str) -> Answer {
    let ask = html(&Ask { name: Text::line(name), code: Text::line(code) })?;
    let title = Text::line("Log in");
    let content = Content { title: &title, heading: &title, path: "/login", live: "", html: &ask };
    frame::page(house, headers, None, &content)
}

pub(super) async fn login(
    State(house): State<House>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Answer {
    let from = origin(&headers, &uri, house.cookies.secure);
    let said = Form::read(&headers, body).await?;
    let (token, code, next) = (said.get("token"), said.get("code"), said.path("next"));
    let before = match house.cookies.session(&headers) {
        Sent::Session(secret) => Some(secret.hash()),
        Sent::Nothing | Sent::Malformed => None,
    };
    let work = async {
        match (from, token, code) {
            // A file has no origin, and neither has what a sandbox sends: nothing is begun by it.
            (Origin::Null, "", code) if !code.is_empty() => {
                web::whose_code(&house.store, &house.gate, peer, code).await.map(|name| Step::Ask { name })
            }
            (Origin::Own, "", code) if !code.is_empty() => {
                web::by_code(&house.store, &house.gate, peer, code, before.as_ref()).await.map(Step::Begun)
            }
            (Origin::Own, token, _) => {
                web::by_token(&house.store, &house.gate, peer, token, before.as_ref()).await.map(Step::Begun)
            }
            _ => Err(web::Refusal::Elsewhere),
        }
    };
    let secret = match house.admission.call(async { Ok(work.await) }).await? {
        Ok(Step::Begun(secret)) => secret,
        Ok(Step::Ask { name }) => return ask(&house, &headers, &name, code),
        Err(web::Refusal::Failed(error)) => return Err(error.into()),
        Err(refusal) => {
            let problem = Problem::new(refused_as(&refusal), refusal.to_string());
            let mut answer = form(&house, &headers, &next, Some(problem.words()))?;
            *answer.status_mut() = problem.code();
            return Ok(answer);
        }
    };
    let begin = (header::SET_COOKIE, house.cookies.begin(&secret, LASTS));
    let mut answer: Response = (StatusCode::SEE_OTHER, [(header::LOCATION, next)]).into_response();
    answer.headers_mut().append(begin.0, begin.1);
    Ok(answer)
}

fn refused_as(refusal: &web::Refusal) -> StatusCode {
    match refusal {
        web::Refusal::Denied(denial) => Problem::from(denial.clone()).code(),
        web::Refusal::Elsewhere => StatusCode::FORBIDDEN,
        _ => StatusCode::UNAUTHORIZED,
    }
}

pub(super) async fn logout(
    State(house): State<House>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    if origin(&headers, &uri, house.cookies.secure) != Origin::Own {
        return Err(Problem::new(StatusCode::FORBIDDEN, web::Refusal::Elsewhere.to_string()));
    }
    if let Sent::Session(secret) = house.cookies.session(&headers) {
        let work = async { Ok(web::end(&house.store, &house.gate, peer, &secret).await?) };
        house.admission.call(work).await?;
    }
    let mut answer = (StatusCode::SEE_OTHER, [(header::LOCATION, "/login")]).into_response();
    answer.headers_mut().append(header::SET_COOKIE, house.cookies.clear());
    Ok(answer)
}

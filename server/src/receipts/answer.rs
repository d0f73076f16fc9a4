//! A receipt as it is handed out.

use tandem_domain::receipt::{
    Difference, Envelope, File, KEY_FILE, PublicKey, RECEIPT_FILE, Statement, bundle, differences, model_signature,
    sha256, verifies,
};
use uuid::Uuid;

use super::make::Receipts;
use crate::{
    error::{Error, Result},
    store::{
        Conn, jobs,
        receipts::{self, Signed},
    },
};

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) name: String,
    pub(crate) envelope: String,
    pub(crate) key: String,
    /// Empty if it was not asked for.
    pub(crate) model_signature: String,
    /// The key that this one verifies with, which stands in the folder.
    pub(crate) house_key: String,
    pub(crate) differences: Vec<Difference>,
}

/// The receipt of a job that has succeeded, and what its rows show otherwise by now; with `files`, a signature over these of
/// its artifacts, as one folder with the receipt and the key.
///
/// # Errors
/// `Refused` where it has none, with the reason; `Damaged` where the stored one is not what was signed.
pub(crate) async fn answer(house: &Receipts, conn: &mut Conn, job: Uuid, files: &[String]) -> Result<Answer> {
    let (id, signed) = (job.to_string(), receipts::get(conn, job).await?);
    let id = &id[..8];
    let Some(signed) = signed else { return Err(none(house, conn, job, id).await?) };
    let damaged = |why: &str| {
        Error::Damaged(format!(
            "the receipt of job {id} is not what was signed: {why}; its row was altered in the database"
        ))
    };
    let keys = receipts::keys(conn).await?;
    let key =
        keys.into_iter().find(|key| key.id == signed.key_id).ok_or_else(|| damaged("its key is not the house's"))?;
    let public = PublicKey::from_pem(&key.pem).map_err(|error| damaged(&format!("its key: {error}")))?;
    if !verifies(&public, signed.statement.as_bytes(), &signed.signature) {
        return Err(damaged("its signature does not match"));
    }
    let statement = Statement::parse(signed.statement.as_bytes()).map_err(|error| damaged(&error.to_string()))?;
    let value = |receipt| serde_json::to_value(receipt).map_err(|error| Error::Bug(format!("a receipt: {error}")));
    let now = receipts::facts(conn, job).await?;
    let differences = differences(&value(Some(&statement.predicate))?, &value(now.as_ref())?);
    let envelope = envelope(&signed)?;
    let (model_signature, house_key) = match files {
        [] => Default::default(),
        files => sign_folder(house, (&statement, &public), files, &envelope)?,
    };
    let (name, key) = (statement.predicate.job.name, public.to_pem());
    Ok(Answer { name, envelope, key, model_signature, house_key, differences })
}

/// Why a job has no receipt.
async fn none(house: &Receipts, conn: &mut Conn, job: Uuid, id: &str) -> Result<Error> {
    let state = jobs::states(conn, &[job]).await?.remove(&job);
    let why = match state {
        Some(tandem_domain::state::JobState::Succeeded) => match (receipts::is_due(conn, job).await?, &house.key) {
            (true, None) => {
                "this coordinator has not the house's key, and no other has signed it yet: the log of this one says more"
            }
            (true, Some(_)) => "it waits for a rank of it to end, or for the receipt of a job that it starts from",
            (false, _) => "it succeeded before this house kept receipts; `tandem reproduce` runs it anew",
        },
        _ => "only a job that has succeeded has one",
    };
    Ok(Error::Refused(format!("job {id} has no receipt: {why}")))
}

/// The text of the file: one line.
fn envelope(signed: &Signed) -> Result<String> {
    let envelope = Envelope::new(signed.statement.as_bytes(), &signed.key_id, &signed.signature);
    let text = serde_json::to_string(&envelope).map_err(|error| Error::Bug(format!("a receipt: {error}")))?;
    Ok(format!("{text}\n"))
}

/// The signature and the keys in PEM: that of the signature first, as others read no more than one, and that of the receipt if it is
/// a former one. By what the receipt says, which is signed; rows may have been altered since.
fn sign_folder(
    house: &Receipts,
    (statement, receipts_key): (&Statement, &PublicKey),
    files: &[String],
    envelope: &str,
) -> Result<(String, String)> {
    let job = &statement.predicate.job;
    let Some(own) = &house.key else {
        return Err(Error::Refused(
            "this coordinator has not the house's key, and signs nothing: its log says where one has it".to_owned(),
        ));
    };
    let mut key = own.public.to_pem();
    if receipts_key.id() != own.public.id() {
        key.push_str(&receipts_key.to_pem());
    }
    let mut folder = vec![
        File { name: RECEIPT_FILE.to_owned(), sha256: sha256(envelope.as_bytes()) },
        File { name: KEY_FILE.to_owned(), sha256: sha256(key.as_bytes()) },
    ];
    for name in files {
        let artifact = statement.predicate.artifacts.iter().find(|artifact| &artifact.name == name);
        let artifact = artifact.ok_or_else(|| Error::NotFound(format!("the receipt names no file `{name}`")))?;
        folder.push(File { name: name.clone(), sha256: artifact.sha256.clone() });
    }
    folder.sort();
    if let Some(twice) = folder.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(Error::Invalid(format!("two files would be called `{}`", twice[0].name)));
    }
    let named = model_signature(&job.name, &folder);
    let named = named.ok_or_else(|| Error::Damaged(format!("the receipt of `{}` holds no SHA-256", job.name)))?;
    Ok((bundle(&own.public, &named, &own.sign(&named)?), key))
}

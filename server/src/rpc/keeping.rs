//! `tandem.v1.Keeping`.

use tandem_proto::{v1, v1::keeping_server::Keeping};
use tonic::{Request, Response, Status, async_trait};

use super::{Api, admission::check_texts, caller};
use crate::{
    convert_keeping as convert,
    error::Error,
    keeping::{
        archive,
        clean::{self, Cursor},
        delete::{How, delete},
        labels,
    },
    sharing::policy,
    store::{audit::Entry, removals, stored},
};

/// People that are shown.
const PEOPLE: i64 = 500;

#[async_trait]
impl Keeping for Api {
    async fn tag(&self, request: Request<v1::TagRequest>) -> Result<Response<v1::LabelResponse>, Status> {
        let who = caller(&request)?;
        let v1::TagRequest { target, words, remove } = request.into_inner();
        check_texts(&[("target", &target)])?;
        check_texts(&words.iter().map(|word| ("words", word.as_str())).collect::<Vec<_>>())?;
        let tag = async {
            let tagged = labels::set_tags(&self.store, &target, &words, remove, &who).await;
            Ok(self.noted(&who, "Keeping/Tag", &target, tagged)?)
        };
        Ok(Response::new(convert::labelled(self.admission.call(tag).await?)))
    }

    async fn note(&self, request: Request<v1::NoteRequest>) -> Result<Response<v1::LabelResponse>, Status> {
        let who = caller(&request)?;
        let v1::NoteRequest { target, text } = request.into_inner();
        check_texts(&[("target", &target), ("text", &text)])?;
        let note = async {
            let noted = labels::set_note(&self.store, &target, &text, &who).await;
            Ok(self.noted(&who, "Keeping/Note", &target, noted)?)
        };
        Ok(Response::new(convert::labelled(self.admission.call(note).await?)))
    }

    async fn archive(&self, request: Request<v1::ArchiveRequest>) -> Result<Response<v1::ArchiveResponse>, Status> {
        let who = caller(&request)?;
        let v1::ArchiveRequest { target, undo } = request.into_inner();
        check_texts(&[("target", &target)])?;
        let archive = async {
            let changed = archive::set(&self.store, &target, !undo, &who).await;
            Ok(self.noted(&who, "Keeping/Archive", &target, changed)?)
        };
        let experiments = self.admission.call(archive).await?.into_iter().map(crate::convert::submission).collect();
        Ok(Response::new(v1::ArchiveResponse { experiments }))
    }

    async fn delete(&self, request: Request<v1::DeleteRequest>) -> Result<Response<v1::DeleteResponse>, Status> {
        let who = caller(&request)?;
        let v1::DeleteRequest { target, dry_run, cancel, for_all } = request.into_inner();
        check_texts(&[("target", &target)])?;
        let delete = async {
            let deleted = delete(&self.store, &target, How { dry_run, cancel, for_all }, &who).await;
            Ok(self.noted(&who, "Keeping/Delete", &target, deleted)?)
        };
        Ok(Response::new(convert::deleted(self.admission.call(delete).await?, dry_run)))
    }

    async fn clean(&self, request: Request<v1::CleanRequest>) -> Result<Response<v1::CleanResponse>, Status> {
        let who = caller(&request)?;
        let by = Entry::done(&who, "Keeping/Clean", "", "");
        self.clean_step(&request.into_inner().after, Some(&by)).await
    }

    async fn would_clean(&self, request: Request<v1::CleanRequest>) -> Result<Response<v1::CleanResponse>, Status> {
        self.clean_step(&request.into_inner().after, None).await
    }

    async fn stored(&self, request: Request<v1::StoredRequest>) -> Result<Response<v1::StoredResponse>, Status> {
        let own = caller(&request)?.name;
        let owner = request.into_inner().owner;
        check_texts(&[("owner", &owner)])?;
        let stored = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            let owner = if owner.is_empty() { &own } else { &owner };
            let people = stored::of_all(&mut conn, PEOPLE).await.map_err(Error::from)?;
            let (_, house) = policy::current(&mut conn).await.map_err(Error::from)?;
            let largest = stored::largest(&mut conn, owner).await.map_err(Error::from)?;
            let removing = removals::pending(&mut conn).await.map_err(Error::from)?;
            Ok((people, house, largest, removing))
        };
        let (people, house, largest, removing) = self.admission.call(stored).await?;
        Ok(Response::new(convert::stored(people, &house, largest, removing)))
    }
}

impl Api {
    async fn clean_step(&self, after: &str, by: Option<&Entry>) -> Result<Response<v1::CleanResponse>, Status> {
        check_texts(&[("after", after)])?;
        let cursor: Cursor = after.parse()?;
        let step = async { Ok(clean::step(&self.store, cursor, by).await?) };
        Ok(Response::new(convert::cleaned(self.admission.call(step).await?)))
    }
}

//! `tandem.v1.Policies`.

use tandem_domain::policy::{HousePolicy, changes};
use tandem_proto::{convert::timestamp, v1, v1::policies_server::Policies};
use tonic::{Request, Response, Status, async_trait};

use super::{
    Api,
    admission::{check_nul, check_texts},
    caller,
};
use crate::{
    error::Error,
    query::jobs::limited,
    sharing::policy::{self, Set, Setting},
    store::{policies, policies::PolicyRow, unsigned},
};

const HISTORY: u32 = 20;

#[async_trait]
impl Policies for Api {
    async fn get(&self, request: Request<v1::GetPolicyRequest>) -> Result<Response<v1::GetPolicyResponse>, Status> {
        let version = request.into_inner().version;
        let get = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            let Some(version) = version.filter(|version| *version > 0) else {
                let row =
                    if version == Some(0) { None } else { policies::newest(&mut conn).await.map_err(Error::from)? };
                return Ok(row);
            };
            let row =
                policies::get(&mut conn, i64::try_from(version).unwrap_or(i64::MAX)).await.map_err(Error::from)?;
            let missing =
                || Error::NotFound(format!("no version {version} of the policy; `tandem policy history` shows them"));
            Ok(Some(row.ok_or_else(missing)?))
        };
        let row = self.admission.call(get).await?;
        let house = row.as_ref().and_then(|row| HousePolicy::parse(&row.toml).ok()).unwrap_or_default();
        let policy = Some(row.map(wire).unwrap_or_default());
        Ok(Response::new(v1::GetPolicyResponse { policy, effective: house.effective().to_toml() }))
    }

    async fn set(&self, request: Request<v1::SetPolicyRequest>) -> Result<Response<v1::SetPolicyResponse>, Status> {
        let by = caller(&request)?;
        let v1::SetPolicyRequest { toml, dry_run, instead_of, file_name } = request.into_inner();
        check_nul("toml", &toml)?;
        check_texts(&[("file_name", &file_name)])?;
        let instead_of = instead_of.map(|version| i64::try_from(version).unwrap_or(i64::MAX));
        let setting = Setting { file_name: &file_name, dry_run, instead_of };
        let set = async { Ok(policy::set(&self.store, &by, &toml, setting).await?) };
        let Set { row, house, changes, notes } = self.admission.call(set).await?;
        let effective = house.effective().to_toml();
        Ok(Response::new(v1::SetPolicyResponse { policy: row.map(wire), effective, changes, notes }))
    }

    async fn history(
        &self,
        request: Request<v1::PolicyHistoryRequest>,
    ) -> Result<Response<v1::PolicyHistoryResponse>, Status> {
        let limit = limited(match request.into_inner().limit {
            0 => HISTORY,
            limit => limit,
        });
        let history = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            // The last of them changed something, too.
            Ok(policies::history(&mut conn, i64::from(limit) + 1).await.map_err(Error::from)?)
        };
        let rows = self.admission.call(history).await?;
        let says: Vec<HousePolicy> = rows.iter().map(|row| HousePolicy::parse(&row.toml).unwrap_or_default()).collect();
        let before = says.iter().skip(1).cloned().chain([HousePolicy::default()]);
        let changes = before.zip(&says).map(|(before, one)| changes(&before, one));
        let policies = rows.into_iter().zip(changes).map(|(row, changes)| v1::Policy { changes, ..wire(row) });
        Ok(Response::new(v1::PolicyHistoryResponse { policies: policies.take(limit as usize).collect() }))
    }
}

fn wire(row: PolicyRow) -> v1::Policy {
    v1::Policy {
        version: unsigned(row.version),
        toml: row.toml,
        set_by: row.who,
        set_at: Some(timestamp(row.set_at)),
        ..Default::default()
    }
}

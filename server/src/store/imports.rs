//! What is particular to results that were computed without a house.

use sha2::{Digest, Sha256};
use tandem_domain::receipt::Environment;
use uuid::Uuid;

use super::{Conn, DbResult, rows::Statement, signed};

/// What stands for the machine that computed them: a worker that is gone, one for each host and device. Its device has no UUID, as a
/// lease on one would keep the house from giving that card to somebody.
pub(crate) async fn put_worker(conn: &mut Conn, environment: &Environment) -> DbResult<Uuid> {
    let Environment { host, device, version, .. } = environment;
    let mut named = Sha256::new();
    for part in ["imported", host, &device.kind, &device.name, version] {
        named.update(part);
        named.update([0]);
    }
    let named: [u8; 32] = named.finalize().into();
    let id = Uuid::from_u128(u128::from_be_bytes(*named.first_chunk().unwrap_or(&[0; 16])));
    let kind = if ["cpu", "cuda"].contains(&device.kind.as_str()) { &device.kind } else { "unknown" };
    sqlx::query!(
        "INSERT INTO workers (id, name, host, device_kind, device_index, device_name, device_uuid, memory_bytes, cores, driver,
                              version, state)
         VALUES ($1, 'local', $2, $3, 0, $4, '', $5, 0, $6, $7, 'gone') ON CONFLICT (id) DO NOTHING",
        id,
        host,
        kind,
        device.name,
        signed(device.memory_bytes),
        device.driver,
        version,
    )
    .run_any(conn)
    .await?;
    Ok(id)
}

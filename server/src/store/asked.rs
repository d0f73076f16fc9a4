//! Answers questions about jobs: ids first, by an index and a limit, then what is shown of them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sqlx::{Connection as _, Row as _, postgres::PgRow, types::Json as AsJson};
use tandem_domain::ask::{Column, Condition, Kind, Name};
use uuid::Uuid;

use super::{
    Conn, DbResult,
    asked_sql::{self as sql, Builder, FROM},
};

/// Which jobs are asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Search {
    /// All of these hold.
    pub(crate) conditions: Vec<Condition>,
    /// Only jobs that this experiment has, its own or shared ones.
    pub(crate) experiment: Option<Uuid>,
    pub(crate) job: Option<Uuid>,
    /// One of the conditions is what has a tag.
    pub(crate) names_a_tag: bool,
}

/// By which name they are sorted; jobs without it are left out. Equal ones go by their ids.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) name: Name,
    pub(crate) ascending: bool,
}

/// Behind which job the next page begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) value: PlaceValue,
    pub(crate) job: Uuid,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum PlaceValue {
    Number(f64),
    Whole(i64),
    Text(String),
    Time(DateTime<Utc>),
}

/// A value of the answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Missing,
    Text(String),
    Whole(i64),
    Number(f64),
    Flag(bool),
    Time(DateTime<Utc>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AskedRow {
    pub(crate) job: Uuid,
    pub(crate) experiment: Uuid,
    pub(crate) cells: Vec<Cell>,
}

/// Jobs that share their keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupRow {
    pub(crate) keys: Vec<Cell>,
    pub(crate) count: i64,
    /// Jobs of it that have the figure, and different seeds of those.
    pub(crate) measured: i64,
    pub(crate) seeds: i64,
    pub(crate) best: Option<f64>,
    pub(crate) mean: Option<f64>,
    /// Sample standard deviation; of one job there is none.
    pub(crate) spread: Option<f64>,
}

/// Plans are made with the values, which decide which index is read; and compiling them takes longer than most of them do. A page
/// of facts is in memory or on a disk without a head: one that holds less of an index and goes there is the better one.
pub(crate) async fn prepare(conn: &mut Conn) -> DbResult<()> {
    sqlx::query_scalar!(
        "SELECT set_config('plan_cache_mode', 'force_custom_plan', true) || set_config('jit', 'off', true)
             || set_config('random_page_cost', '1.1', true)"
    )
    .fetch_one(conn)
    .await
    .map(drop)
}

/// The first `limit` jobs behind `after`, with their places.
pub(crate) async fn pick(
    conn: &mut Conn,
    search: &Search,
    order: &Order,
    after: Option<&Place>,
    limit: i64,
) -> DbResult<Vec<Place>> {
    let mut query = Builder::new("SELECT f.job_id, ");
    let tie = push_order(&mut query, order);
    query.push(" AS place");
    match &order.name {
        Name::Result(_) => {
            query.push(" FROM results o JOIN job_facts f ON f.job_id = o.job_id LEFT JOIN jobs j ON j.id = o.job_id")
        }
        Name::Curve(..) => {
            query.push(" FROM curves o JOIN job_facts f ON f.job_id = o.job_id LEFT JOIN jobs j ON j.id = o.job_id")
        }
        _ => query.push(FROM),
    };
    push_where(&mut query, search);
    match &order.name {
        Name::Column(column) => {
            let (_, figure) = sql::sorted(*column);
            if let Some(figure) = figure {
                query.push(" AND f.figure = ").push_bind(figure);
            }
        }
        Name::Result(name) | Name::Curve(_, name) => {
            query.push(" AND o.name = ").push_bind(name.clone());
        }
        Name::Param(_) => {}
    }
    match &order.name {
        Name::Result(_) => {
            query.push(" AND o.value < 'NaN'");
        }
        Name::Curve(which, name) => {
            query.push(format!(" AND o.{} < 'NaN'", sql::of_curve(*which, name)));
        }
        _ => {
            query.push(" AND ");
            push_order(&mut query, order);
            query.push(" IS NOT NULL");
        }
    }
    if let Some(after) = after {
        query.push(" AND (");
        push_order(&mut query, order);
        query.push(format!(", {tie}) {} (", if order.ascending { ">" } else { "<" }));
        match &after.value {
            PlaceValue::Number(value) => query.push_bind(*value),
            PlaceValue::Whole(value) => query.push_bind(*value),
            PlaceValue::Text(value) => query.push_bind(value.clone()),
            PlaceValue::Time(value) => query.push_bind(*value),
        };
        query.push(", ").push_bind(after.job).push(")");
    }
    let direction = if order.ascending { "" } else { " DESC" };
    query.push(" ORDER BY ");
    push_order(&mut query, order);
    query.push(format!("{direction}, {tie}{direction} LIMIT ")).push_bind(limit);
    let rows = query.build().fetch_all(conn).await?;
    rows.iter().map(|row| Ok(Place { job: row.try_get("job_id")?, value: place_value(row, &order.name)? })).collect()
}

/// The expression that is sorted by; returns the id beside it, of the same table, so that one index has both.
fn push_order(query: &mut Builder, order: &Order) -> &'static str {
    match &order.name {
        Name::Column(column) => {
            query.push(sql::sorted(*column).0);
            "f.job_id"
        }
        Name::Result(_) => {
            query.push("o.value");
            "o.job_id"
        }
        Name::Curve(which, name) => {
            query.push("o.").push(sql::of_curve(*which, name));
            "o.job_id"
        }
        Name::Param(param) => {
            sql::push_number_of_param(query, param);
            "f.job_id"
        }
    }
}

fn place_value(row: &PgRow, name: &Name) -> DbResult<PlaceValue> {
    Ok(match name {
        Name::Column(column) if column.is_whole() => PlaceValue::Whole(row.try_get("place")?),
        _ => match name.kind() {
            Kind::Text => PlaceValue::Text(row.try_get("place")?),
            Kind::Time => PlaceValue::Time(row.try_get("place")?),
            Kind::Number | Kind::Span | Kind::Any => PlaceValue::Number(row.try_get("place")?),
        },
    })
}

/// Whether a page of this order can begin behind this place.
pub(crate) fn fits(order: &Order, place: &Place) -> bool {
    let is_whole = matches!(&order.name, Name::Column(column) if column.is_whole());
    match (order.name.kind(), &place.value) {
        (_, PlaceValue::Whole(_)) => is_whole,
        (Kind::Text, PlaceValue::Text(text)) => !text.contains('\0'),
        (Kind::Time, PlaceValue::Time(_)) => true,
        (Kind::Number | Kind::Span | Kind::Any, PlaceValue::Number(_)) => !is_whole,
        _ => false,
    }
}

fn push_where(query: &mut Builder, search: &Search) {
    // What is archived is found where somebody names it.
    let is_named = search.job.is_some() || search.experiment.is_some() || search.names_a_tag;
    query.push(if is_named { " WHERE true" } else { " WHERE NOT f.hidden" });
    if let Some(job) = search.job {
        query.push(" AND f.job_id = ").push_bind(job);
    }
    if let Some(experiment) = search.experiment {
        query.push(" AND f.job_id IN (SELECT link.job_id FROM experiment_jobs link WHERE link.experiment_id = ");
        query.push_bind(experiment).push(")");
    }
    for condition in &search.conditions {
        // Parts that all hold stand side by side: each may be what an index is read for.
        let parts = match condition {
            Condition::All(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        for part in parts {
            query.push(" AND ");
            sql::push_condition(query, part);
        }
    }
}

/// What is shown of these, in their order.
pub(crate) async fn details(conn: &mut Conn, picked: &[Place], columns: &[Name]) -> DbResult<Vec<AskedRow>> {
    let ids: Vec<Uuid> = picked.iter().map(|place| place.job).collect();
    let mut query = Builder::new("SELECT f.job_id, f.experiment_id");
    for name in columns {
        query.push(", ");
        sql::push_value(&mut query, name);
    }
    query.push(" FROM UNNEST(").push_bind(ids).push(") WITH ORDINALITY AS picked (id, place)");
    query.push(" JOIN job_facts f ON f.job_id = picked.id LEFT JOIN jobs j ON j.id = picked.id ORDER BY picked.place");
    let rows = query.build().fetch_all(conn).await?;
    let row = |row: &PgRow| {
        // By their places: a name is looked up for each cell.
        let cells = columns.iter().zip(2..).map(|(name, place)| cell(row, place, name));
        let cells = cells.collect::<DbResult<_>>()?;
        Ok(AskedRow { job: row.try_get(0)?, experiment: row.try_get(1)?, cells })
    };
    rows.iter().map(row).collect()
}

fn cell(row: &PgRow, at: usize, name: &Name) -> DbResult<Cell> {
    let whole = matches!(name, Name::Column(column) if column.is_whole());
    Ok(match name.kind() {
        _ if whole => row.try_get::<Option<i64>, _>(at)?.map(Cell::Whole),
        Kind::Text => row.try_get::<Option<String>, _>(at)?.map(Cell::Text),
        Kind::Number | Kind::Span => row.try_get::<Option<f64>, _>(at)?.map(Cell::Number),
        Kind::Time => row.try_get::<Option<DateTime<Utc>>, _>(at)?.map(Cell::Time),
        Kind::Any => row.try_get::<Option<AsJson<Json>>, _>(at)?.map(|value| of_json(value.0)),
    }
    .unwrap_or(Cell::Missing))
}

fn of_json(value: Json) -> Cell {
    match value {
        Json::Bool(flag) => Cell::Flag(flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cell::Whole(whole),
            (None, Some(number)) => Cell::Number(number),
            (None, None) => Cell::Missing,
        },
        Json::String(text) => Cell::Text(text),
        Json::Null | Json::Array(_) | Json::Object(_) => Cell::Missing,
    }
}

/// How many there are: `most` at most.
pub(crate) async fn count(conn: &mut Conn, search: &Search, order: &Order, most: i64) -> DbResult<i64> {
    let mut query = Builder::new("SELECT count(*) FROM (SELECT");
    query.push(FROM);
    push_where(&mut query, search);
    // Of those that are sorted: the others are not shown. Each has a time at which it was made.
    if order.name != Name::Column(Column::Created) {
        query.push(" AND ");
        sql::push_condition(&mut query, &Condition::Missing { name: order.name.clone(), negated: true });
    }
    query.push(" LIMIT ").push_bind(most).push(") found");
    query.build_query_scalar().fetch_one(conn).await
}

/// The jobs in groups of equal keys, the best of `figure` first, groups without it last.
pub(crate) async fn groups(
    conn: &mut Conn,
    search: &Search,
    keys: &[Name],
    figure: &Order,
    skip: i64,
    limit: i64,
) -> DbResult<Vec<GroupRow>> {
    let names: Vec<String> = (0..keys.len()).map(|index| format!("k{index}")).collect();
    let listed = names.join(", ");
    let (best, direction) = if figure.ascending { ("min", "") } else { ("max", " DESC") };
    // By seed first, which is hashed; to count different seeds at once all rows would be sorted.
    let mut query = Builder::new(format!(
        "SELECT {listed}, sum(count)::bigint AS count, sum(measured)::bigint AS measured,
                count(*) FILTER (WHERE measured > 0) AS seeds, {best}(best) AS best,
                sum(total) / NULLIF(sum(measured), 0)::float8 AS mean,
                CASE WHEN sum(measured) > 1 THEN
                    sqrt(GREATEST(0, (sum(squares) - sum(total) ^ 2 / sum(measured)::float8) / (sum(measured) - 1)::float8))
                END AS spread
         FROM (SELECT {listed}, count(*) AS count, count(figure) AS measured, {best}(figure) AS best,
                      sum(figure) AS total, sum(figure * figure) AS squares
               FROM (SELECT f.seed, "
    ));
    match &figure.name {
        Name::Param(param) => sql::push_number_of_param(&mut query, param),
        name => sql::push_value(&mut query, name),
    }
    query.push("::float8 AS figure");
    for (index, key) in keys.iter().enumerate() {
        query.push(", ");
        sql::push_value(&mut query, key);
        query.push(format!(" AS k{index}"));
    }
    query.push(FROM);
    push_where(&mut query, search);
    query.push(format!(
        ") matched GROUP BY {listed}, seed) of_seed GROUP BY {listed} ORDER BY best{direction} NULLS LAST, {listed} LIMIT "
    ));
    query.push_bind(limit).push(" OFFSET ").push_bind(skip);
    let rows = query.build().fetch_all(conn).await?;
    let row = |row: &PgRow| {
        let of_keys = keys.iter().zip(0..).map(|(key, place)| cell(row, place, key)).collect::<DbResult<_>>()?;
        Ok(GroupRow {
            keys: of_keys,
            count: row.try_get("count")?,
            measured: row.try_get("measured")?,
            seeds: row.try_get("seeds")?,
            best: row.try_get("best")?,
            mean: row.try_get("mean")?,
            spread: row.try_get("spread")?,
        })
    };
    rows.iter().map(row).collect()
}

/// Names of results and of curves, `most` of each at most: one look into an index for each.
pub(crate) async fn names(conn: &mut Conn, most: i64) -> DbResult<(Vec<String>, Vec<String>)> {
    let results = sqlx::query_scalar!(
        r#"WITH RECURSIVE known AS (
               (SELECT name FROM results WHERE value < 'NaN' ORDER BY name LIMIT 1)
               UNION ALL
               SELECT next.name FROM known CROSS JOIN LATERAL (
                   SELECT r.name FROM results r WHERE r.value < 'NaN' AND r.name > known.name ORDER BY r.name LIMIT 1) next
           )
           SELECT name AS "name!" FROM known LIMIT $1"#,
        most
    )
    .fetch_all(&mut *conn)
    .await?;
    let curves = sqlx::query_scalar!(
        r#"WITH RECURSIVE known AS (
               (SELECT name FROM curves WHERE largest IS NOT NULL ORDER BY name LIMIT 1)
               UNION ALL
               SELECT next.name FROM known CROSS JOIN LATERAL (
                   SELECT c.name FROM curves c WHERE c.largest IS NOT NULL AND c.name > known.name ORDER BY c.name LIMIT 1) next
           )
           SELECT name AS "name!" FROM known LIMIT $1"#,
        most
    )
    .fetch_all(conn)
    .await?;
    Ok((results, curves))
}

/// In a transaction of its own that is cut after `limit`: a total is not worth more.
pub(crate) async fn count_within(
    conn: &mut Conn,
    search: &Search,
    order: &Order,
    most: i64,
    limit: std::time::Duration,
) -> DbResult<Option<i64>> {
    let mut tx = conn.begin().await?;
    prepare(&mut tx).await?;
    sqlx::query_scalar!("SELECT set_config('statement_timeout', $1, true)", limit.as_millis().to_string())
        .fetch_one(&mut *tx)
        .await?;
    let counted = count(&mut tx, search, order, most).await;
    let is_cut = |error: &sqlx::Error| {
        error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "57014")
    };
    match counted {
        Ok(count) => Ok(Some(count)),
        Err(error) if is_cut(&error) => Ok(None),
        Err(error) => Err(error),
    }
    // What only read is rolled back.
}

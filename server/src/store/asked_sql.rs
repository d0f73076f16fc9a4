//! A question as SQL. It is made at run time, as its shape is the asker's: the one place of this folder where no macro checks it.
//! Nothing of the asker's text is in it: names are of a closed list and become expressions that are written here, values and the
//! names of results, curves and parameters are bound. The tests prepare one of each shape.

use sqlx::{Postgres, QueryBuilder};
use tandem_domain::ask::{Column, Condition, Curve, Name, Op, Value, is_smaller_better};
use tandem_domain::state::JobState;

/// Every question goes over these, by these names. Each job has facts, and a left join is left out where nothing of `jobs` is asked.
pub(super) const FROM: &str = " FROM job_facts f LEFT JOIN jobs j ON j.id = f.job_id";

/// All tags of a job, in one line.
const TAGS: &str = "(SELECT string_agg(DISTINCT t.word, ', ' ORDER BY t.word) FROM tags t WHERE t.target = f.job_id OR t.target IN \
                    (SELECT link.experiment_id FROM experiment_jobs link WHERE link.job_id = f.job_id))";

pub(super) type Builder = QueryBuilder<Postgres>;

/// What an order goes by, and the figure that its column is alone.
pub(super) fn sorted(one: Column) -> (&'static str, Option<&'static str>) {
    (column(one), figure(one))
}

/// The column, as a figure or time that can be shown and sorted. Main figures are of their stages alone.
fn column(column: Column) -> &'static str {
    match column {
        Column::Job => "f.job",
        Column::Experiment => "f.experiment",
        Column::Owner => "f.owner",
        Column::Stage => "f.stage",
        Column::State => "COALESCE(f.ended, j.state::text)",
        Column::Dataset => "f.dataset",
        Column::Images => "f.dataset_sha256",
        Column::Encoder => "f.encoder",
        Column::Optimizer => "f.optimizer",
        Column::Attack => "f.attack",
        Column::Norm => "f.norm",
        Column::Device => "f.device",
        Column::Figure => "f.figure",
        Column::Tag => TAGS,
        Column::LabelFraction => "f.label_fraction",
        Column::Epochs => "f.epochs",
        Column::BatchSize => "f.batch_size",
        Column::Seed => "f.seed",
        Column::Temperature => "f.temperature",
        Column::Lr => "f.lr",
        Column::WeightDecay => "f.weight_decay",
        Column::Lambda => "f.lambda",
        Column::Value | Column::Accuracy | Column::Knn | Column::Robust => "f.value",
        Column::Created => "f.created_at",
        Column::Started => "f.started_at",
        Column::Finished => "f.finished_at",
        Column::Age => "extract(epoch FROM now() - f.created_at)::float8",
        Column::DeviceSeconds => "f.device_seconds",
    }
}

/// The main figure that the column is, if it is one.
fn figure(column: Column) -> Option<&'static str> {
    match column {
        Column::Accuracy => Some("accuracy"),
        Column::Knn => Some("knn_accuracy"),
        Column::Robust => Some("robust_accuracy"),
        _ => None,
    }
}

/// The column of `curves` that holds it.
pub(super) fn of_curve(which: Curve, name: &str) -> &'static str {
    match which {
        Curve::Last => "last",
        Curve::Min => "smallest",
        Curve::Max => "largest",
        Curve::Best if is_smaller_better(name) => "smallest",
        Curve::Best => "largest",
    }
}

/// The value of a name of one job: null where it has none.
pub(super) fn push_value(sql: &mut Builder, name: &Name) {
    match name {
        Name::Column(one) => match figure(*one) {
            Some(figure) => {
                sql.push("CASE WHEN f.figure = ").push_bind(figure).push(" THEN f.value END");
            }
            None => {
                sql.push(column(*one));
            }
        },
        Name::Result(result) => {
            sql.push("(SELECT o.value FROM results o WHERE o.job_id = f.job_id AND o.value < 'NaN' AND o.name = ");
            sql.push_bind(result.clone()).push(")");
        }
        Name::Curve(which, curve) => {
            sql.push("(SELECT NULLIF(o.").push(of_curve(*which, curve)).push(", 'NaN') FROM curves o");
            sql.push(" WHERE o.job_id = f.job_id AND o.name = ").push_bind(curve.clone()).push(")");
        }
        Name::Param(param) => {
            sql.push("(SELECT p.params -> ").push_bind(param.clone());
            sql.push(" FROM job_params p WHERE p.job_id = f.job_id)");
        }
    }
}

/// A parameter as a number, null where it is none.
pub(super) fn push_number_of_param(sql: &mut Builder, param: &str) {
    sql.push("(SELECT ");
    push_number(sql, param);
    sql.push(" FROM job_params p WHERE p.job_id = f.job_id)");
}

fn push_number(sql: &mut Builder, param: &str) {
    sql.push("CASE WHEN jsonb_typeof(p.params -> ")
        .push_bind(param.to_owned())
        .push(") = 'number' THEN (p.params ->> ");
    sql.push_bind(param.to_owned()).push(")::float8 END");
}

/// The condition, in brackets.
pub(super) fn push_condition(sql: &mut Builder, condition: &Condition) {
    match condition {
        Condition::All(parts) => push_joined(sql, parts, " AND ", "true"),
        Condition::Any(parts) => push_joined(sql, parts, " OR ", "false"),
        leaf => push_leaf(sql, leaf),
    }
}

/// What one name is compared with.
fn push_leaf(sql: &mut Builder, leaf: &Condition) {
    match leaf.name() {
        Some(Name::Column(Column::Tag)) => push_tagged(sql, leaf),
        Some(name) if matches!(leaf, Condition::Missing { .. }) => push_missing(sql, name, !leaf.is_negative()),
        Some(name) => push_of(sql, name, |sql, at| push_compared(sql, at, leaf)),
        None => {}
    }
}

/// What is asked of a value that is there.
fn push_compared(sql: &mut Builder, at: At<'_>, leaf: &Condition) {
    match leaf {
        Condition::Compare { op, value, .. } => push_comparison(sql, at, *op, value),
        Condition::Between { low, high, negated, .. } => {
            let (from, join, to) =
                if *negated { (Op::Less, " OR ", Op::Greater) } else { (Op::AtLeast, " AND ", Op::AtMost) };
            sql.push("(");
            push_comparison(sql, at, from, low);
            sql.push(join);
            push_comparison(sql, at, to, high);
            sql.push(")");
        }
        Condition::OneOf { values, negated, .. } => {
            let (op, join) = if *negated { (Op::Unequal, " AND ") } else { (Op::Equal, " OR ") };
            sql.push("(");
            for (index, value) in values.iter().enumerate() {
                sql.push(if index == 0 { "" } else { join });
                push_comparison(sql, at, op, value);
            }
            sql.push(")");
        }
        Condition::Like { pattern, any_case, negated, .. } => {
            match at {
                At::Param(param) => {
                    sql.push("(p.params ->> ").push_bind(param.to_owned()).push(")");
                }
                At::State => {
                    sql.push(column(Column::State));
                }
                At::Plain(column) => {
                    sql.push(column);
                }
            }
            sql.push(if *negated { " NOT" } else { "" }).push(if *any_case { " ILIKE " } else { " LIKE " });
            sql.push_bind(pattern.clone());
        }
        // That it is there.
        Condition::Missing { .. } | Condition::All(_) | Condition::Any(_) => {
            sql.push("true");
        }
    }
}

/// Of tags a job has any number: one of them is so, or none is. Their index begins it.
fn push_tagged(sql: &mut Builder, leaf: &Condition) {
    let is_none = leaf.is_negative();
    let one = if is_none { leaf.clone().negated() } else { leaf.clone() };
    sql.push(if is_none { "f.job_id NOT IN (" } else { "f.job_id IN (" });
    sql.push("SELECT t.target FROM tags t WHERE t.is_job AND ");
    push_compared(sql, At::Plain("t.word"), &one);
    sql.push(
        " UNION ALL SELECT link.job_id FROM tags t JOIN experiment_jobs link ON link.experiment_id = t.target WHERE ",
    );
    push_compared(sql, At::Plain("t.word"), &one);
    sql.push(")");
}

fn push_joined(sql: &mut Builder, parts: &[Condition], join: &str, none: &str) {
    sql.push("(");
    for (index, part) in parts.iter().enumerate() {
        sql.push(if index == 0 { "" } else { join });
        push_condition(sql, part);
    }
    sql.push(if parts.is_empty() { none } else { "" }).push(")");
}

/// What is compared.
#[derive(Clone, Copy)]
enum At<'a> {
    Plain(&'static str),
    State,
    Param(&'a str),
}

/// What holds of a name's value. No part of a condition is negated, so a look into another table is a semi-join, and an index of
/// that table may begin it.
fn push_of(sql: &mut Builder, name: &Name, what: impl FnOnce(&mut Builder, At<'_>)) {
    sql.push("(");
    match name {
        Name::Column(one) => {
            if let Some(figure) = figure(*one) {
                sql.push("f.figure = ").push_bind(figure).push(" AND ");
            }
            what(sql, if *one == Column::State { At::State } else { At::Plain(column(*one)) });
        }
        Name::Result(result) => {
            sql.push("EXISTS (SELECT FROM results o WHERE o.job_id = f.job_id AND o.value < 'NaN' AND o.name = ");
            sql.push_bind(result.clone()).push(" AND ");
            what(sql, At::Plain("o.value"));
            sql.push(")");
        }
        Name::Curve(which, curve) => {
            let at = match of_curve(*which, curve) {
                "last" => "o.last",
                "smallest" => "o.smallest",
                _ => "o.largest",
            };
            sql.push("EXISTS (SELECT FROM curves o WHERE o.job_id = f.job_id AND o.name = ").push_bind(curve.clone());
            sql.push(" AND ").push(at).push(" < 'NaN' AND ");
            what(sql, At::Plain(at));
            sql.push(")");
        }
        Name::Param(param) => {
            sql.push("EXISTS (SELECT FROM job_params p WHERE p.job_id = f.job_id AND ");
            what(sql, At::Param(param));
            sql.push(")");
        }
    }
    sql.push(")");
}

fn push_comparison(sql: &mut Builder, at: At<'_>, op: Op, value: &Value) {
    match (at, value) {
        (At::State, Value::Text(state)) if op == Op::Equal => {
            // Those that have ended are found by their facts, the few others by the indexes of the queue.
            if ["succeeded", "failed", "cancelled"].contains(&state.as_str()) {
                // With what the index of these asks for; and so that its contrary holds for those that have not ended.
                sql.push("f.finished_at IS NOT NULL AND f.ended = ").push_bind(state.clone());
            } else {
                // Written out, in words of ours: a value that is bound comes too late for the indexes of these states.
                let live = JobState::ALL.iter().find(|live| live.label() == state);
                match live {
                    Some(live) => sql.push("j.state = '").push(live.label()).push("'"),
                    None => sql.push("false"),
                };
            }
        }
        (At::Param(param), value) => push_comparison_of_param(sql, param, op, value),
        (At::State, value) => push_simple(sql, column(Column::State), op, value),
        (At::Plain(column), value) => push_simple(sql, column, op, value),
    }
}

fn push_simple(sql: &mut Builder, column: &'static str, op: Op, value: &Value) {
    sql.push(column).push(" ").push(op.sql()).push(" ");
    match value {
        Value::Text(text) => sql.push_bind(text.clone()),
        Value::Flag(flag) => sql.push_bind(*flag),
        Value::Time(at) => sql.push_bind(*at),
        // A whole number is compared as one: the index of a whole column is of no use beside a fraction. With its type: a statement
        // is known by its text, and whoever asks by a fraction with that of a whole number sends eight bytes of another meaning.
        Value::Number(number) if is_whole(column) && number.fract() == 0.0 && number.abs() < 9e15 => {
            sql.push_bind(*number as i64).push("::int8")
        }
        Value::Number(number) => sql.push_bind(*number).push("::float8"),
    };
}

fn is_whole(name: &str) -> bool {
    Column::ALL.iter().any(|one| one.is_whole() && column(*one) == name)
}

fn push_comparison_of_param(sql: &mut Builder, param: &str, op: Op, value: &Value) {
    let json = match value {
        Value::Number(number) => serde_json::json!({ param: number }),
        Value::Flag(flag) => serde_json::json!({ param: flag }),
        Value::Text(text) => serde_json::json!({ param: text }),
        Value::Time(at) => serde_json::json!({ param: at.to_rfc3339() }),
    };
    match (op, value) {
        // By the index of all parameters.
        (Op::Equal, _) => {
            sql.push("p.params @> ").push_bind(sqlx::types::Json(json));
        }
        (Op::Unequal, _) => {
            sql.push("(p.params ? ").push_bind(param.to_owned()).push(" AND NOT p.params @> ");
            sql.push_bind(sqlx::types::Json(json)).push(")");
        }
        (_, Value::Number(number)) => {
            push_number(sql, param);
            sql.push(" ").push(op.sql()).push(" ").push_bind(*number);
        }
        (_, Value::Text(text)) => {
            sql.push("(p.params ->> ").push_bind(param.to_owned()).push(") ").push(op.sql()).push(" ");
            sql.push_bind(text.clone());
        }
        (_, Value::Flag(_) | Value::Time(_)) => {
            sql.push("false");
        }
    }
}

fn push_missing(sql: &mut Builder, name: &Name, negated: bool) {
    sql.push(if negated { "(" } else { "(NOT (" });
    match name {
        Name::Column(one) => {
            if let Some(figure) = figure(*one) {
                sql.push("f.figure = ").push_bind(figure).push(" AND ");
            }
            sql.push(column(*one)).push(" IS NOT NULL");
        }
        Name::Result(result) => {
            sql.push("EXISTS (SELECT FROM results o WHERE o.job_id = f.job_id AND o.value < 'NaN' AND o.name = ");
            sql.push_bind(result.clone()).push(")");
        }
        Name::Curve(which, curve) => {
            sql.push("EXISTS (SELECT FROM curves o WHERE o.job_id = f.job_id AND o.name = ").push_bind(curve.clone());
            sql.push(" AND o.").push(of_curve(*which, curve)).push(" < 'NaN')");
        }
        Name::Param(param) => {
            sql.push("EXISTS (SELECT FROM job_params p WHERE p.job_id = f.job_id AND p.params ? ")
                .push_bind(param.clone())
                .push(")");
        }
    }
    sql.push(if negated { ")" } else { "))" });
}

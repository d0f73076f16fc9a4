//! What contrastive jobs have learnt, in a plane: the embedding that a job with `pictures` leaves.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use tandem_draw::{
    Look,
    scatter::{self, Group, Panel},
};
use tandem_proto::v1::Job;

use super::{artifacts, picture::Picture};
use crate::{
    client::Client,
    exit::{Exit, Failure},
    output::Output,
    render::csv::columns,
};

const EMBEDDING: &str = "embedding";
/// Planes that one looks at together.
const MOST: usize = 6;

/// Draws the embeddings of these jobs, which come the newest first: those that were submitted first stand above.
pub(super) async fn write(to: Picture, client: &Client, finished: &[Job], output: &Output) -> Result<()> {
    let mut panels = Vec::new();
    let mut more = 0;
    for job in finished.iter().rev().filter(|job| job.stage == "contrastive") {
        let made = artifacts::of_job(client, &job.id).await?;
        if !made.iter().any(|artifact| artifact.kind == EMBEDDING) {
            continue;
        }
        if panels.len() == MOST {
            more += 1;
            continue;
        }
        if let Some(csv) = artifacts::table(client, job, &made, EMBEDDING).await? {
            let name = format!("{}/{}", job.experiment_name, job.name);
            panels.push(read(&name, &csv).with_context(|| format!("cannot draw the embedding of `{name}`"))?);
        }
    }
    if panels.is_empty() {
        let message = "nothing to draw: none of the listed jobs has left an embedding. A contrastive job does with `pictures = 8`";
        return Err(Failure::error(Exit::NotFound, message.to_owned()));
    }
    if more > 0 {
        output.note(&format!(
            "the figure has the first {MOST} embeddings; there are {more} more: name an experiment or a job"
        ));
    }
    let title = if panels.len() == 1 { "embedding" } else { "embeddings" };
    to.write(&scatter::svg(title, &panels, Look::Paper)?, title)
}

/// Of an `embedding.csv`: a group for each class, in the order of their names.
fn read(name: &str, csv: &str) -> Result<Panel> {
    let mut groups = BTreeMap::<String, Vec<(f64, f64)>>::new();
    let mut shares = None;
    for row in columns(csv, ["class", "x", "y", "x_share", "y_share"])? {
        shares = Some((row.number(3)?, row.number(4)?));
        groups.entry(row.fields[0].to_owned()).or_default().push((row.number(1)?, row.number(2)?));
    }
    let Some((x, y)) = shares else { bail!("it has no points") };
    let axis = |number: u32, share: f64| format!("component {number} ({:.1} % of the variance)", 100.0 * share);
    let groups = groups.into_iter().map(|(name, points)| Group { name, points }).collect();
    Ok(Panel { title: name.to_owned(), x: axis(1, x), y: axis(2, y), groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_groups() {
        let csv =
            "image,class,x,y,x_share,y_share\n7,dog,1.5,-2,0.25,0.125\n3,cat,0,0,0.25,0.125\n9,dog,1,1,0.25,0.125\n";
        let panel = read("a/b", csv).unwrap();
        assert_eq!(
            (panel.x.as_str(), panel.y.as_str()),
            ("component 1 (25.0 % of the variance)", "component 2 (12.5 % of the variance)")
        );
        let groups: Vec<(&str, usize)> =
            panel.groups.iter().map(|group| (group.name.as_str(), group.points.len())).collect();
        assert_eq!(groups, [("cat", 1), ("dog", 2)]);
        assert_eq!(panel.groups[1].points, [(1.5, -2.0), (1.0, 1.0)]);
        assert!(read("a/b", "image,class,x,y,x_share,y_share\n").is_err());
        assert!(read("a/b", "image,x\n1,2\n").is_err());
    }
}

//! A graph of thousands of nodes, as one that can be seen: those of a group become one.

use std::collections::{BTreeSet, HashMap};

use super::node::{Node, State};
use crate::numbers::count;

/// More nodes are gathered by group.
const MOST: usize = 48;

/// Nodes and edges that can be drawn, and how many nodes are left out still.
pub(crate) struct Seen {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<(usize, usize)>,
    pub(crate) left_out: usize,
}

pub(crate) fn gather(nodes: &[Node], edges: &[(usize, usize)]) -> Seen {
    let edges = edges.iter().copied().filter(|(from, to)| *from < nodes.len() && *to < nodes.len() && from != to);
    if nodes.len() <= MOST {
        return Seen { nodes: nodes.to_vec(), edges: once(edges), left_out: 0 };
    }
    let mut groups: Vec<Vec<&Node>> = Vec::new();
    let mut of_group: HashMap<&str, usize> = HashMap::new();
    let mut place = Vec::with_capacity(nodes.len());
    for node in nodes {
        let group = *of_group.entry(&node.group).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(node);
        place.push(group);
    }
    let edges =
        edges.map(|(from, to)| (place[from], place[to])).filter(|(from, to)| from != to && *from < MOST && *to < MOST);
    let edges = once(edges);
    let left_out = groups.get(MOST..).unwrap_or_default().iter().map(Vec::len).sum();
    groups.truncate(MOST);
    Seen { nodes: groups.iter().map(|group| as_one(group)).collect(), edges, left_out }
}

fn once(edges: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    edges.collect::<BTreeSet<_>>().into_iter().collect()
}

fn as_one(group: &[&Node]) -> Node {
    if let [node] = group {
        return (*node).clone();
    }
    let of = |state: State| group.iter().filter(|node| node.state == state).count();
    let counts: Vec<(State, usize)> =
        State::ALL.map(|state| (state, of(state))).into_iter().filter(|(_, n)| *n > 0).collect();
    let words: Vec<String> = counts.iter().map(|(state, n)| format!("{} {}", count(*n as u64), state.word())).collect();
    let done: f64 =
        group.iter().map(|node| if node.state == State::Succeeded { 1.0 } else { node.done.unwrap_or(0.0) }).sum();
    Node {
        label: format!("{} × {}", group[0].group, count(group.len() as u64)),
        group: group[0].group.clone(),
        state: counts.first().map(|(state, _)| *state).unwrap_or_default(),
        done: Some(done / group.len() as f64),
        note: words.join(", "),
        link: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(label: &str, group: &str, state: State) -> Node {
        Node { label: label.to_owned(), group: group.to_owned(), state, ..Node::default() }
    }

    #[test]
    fn few_stay_as_they_are_and_many_become_one_of_each_group() {
        let few = [node("a", "a", State::Running), node("b", "b", State::Queued)];
        assert_eq!(gather(&few, &[(0, 1), (0, 1), (1, 1), (0, 7)]).edges, [(0, 1)]);
        let mut many: Vec<Node> = (0..100).map(|i| node(&format!("e[{i}]"), "e", State::Queued)).collect();
        many.extend((0..100).map(|i| node(&format!("l[{i}]"), "l", State::Blocked)));
        many[3].state = State::Running;
        many[4].state = State::Succeeded;
        let edges: Vec<(usize, usize)> = (0..100).map(|i| (i, 100 + i)).collect();
        let seen = gather(&many, &edges);
        assert_eq!(seen.edges, [(0, 1)]);
        assert_eq!((seen.nodes[0].label.as_str(), seen.nodes[0].state), ("e × 100", State::Running));
        assert_eq!(seen.nodes[0].note, "1 running, 98 queued, 1 succeeded");
        assert_eq!((seen.nodes[0].done, seen.left_out), (Some(0.01), 0));
    }

    #[test]
    fn a_thousand_groups_are_not_drawn() {
        let many: Vec<Node> = (0..1000).map(|i| node("x", &i.to_string(), State::Queued)).collect();
        let seen = gather(&many, &[(0, 999), (0, 1)]);
        assert_eq!((seen.nodes.len(), seen.left_out, seen.edges.len()), (MOST, 1000 - MOST, 1));
    }
}

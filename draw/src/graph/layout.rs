//! Where the nodes of a graph stand: in layers, each behind all that it starts from.

/// Sweeps over the layers that bring neighbours near each other.
const SWEEPS: usize = 4;

/// Layers, from the first; the numbers of the nodes in each, from above. A node in a circle stands in the first layer.
pub(crate) fn layers(nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let depth = depths(nodes, edges);
    let mut layers = vec![Vec::new(); depth.iter().max().map_or(0, |deepest| deepest + 1)];
    for (node, depth) in depth.iter().enumerate() {
        layers[*depth].push(node);
    }
    let mut before = vec![Vec::new(); nodes];
    let mut behind = vec![Vec::new(); nodes];
    for (from, to) in edges.iter().filter(|(from, to)| depth[*from] < depth[*to]) {
        before[*to].push(*from);
        behind[*from].push(*to);
    }
    for sweep in 0..SWEEPS {
        let forward = sweep % 2 == 0;
        let neighbours = if forward { &before } else { &behind };
        let mut places = places(nodes, &layers);
        let count = layers.len();
        for step in 0..count {
            let layer = if forward { step } else { count - 1 - step };
            let middle = |node: usize| {
                let near = &neighbours[node];
                if near.is_empty() {
                    places[node]
                } else {
                    near.iter().map(|one| places[*one]).sum::<f64>() / near.len() as f64
                }
            };
            let mut sorted: Vec<(f64, usize)> = layers[layer].iter().map(|node| (middle(*node), *node)).collect();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            for (place, (_, node)) in sorted.iter().enumerate() {
                places[*node] = share(place, sorted.len());
            }
            layers[layer] = sorted.into_iter().map(|(_, node)| node).collect();
        }
    }
    layers
}

/// The place of each node in its layer, from 0 to 1.
fn places(nodes: usize, layers: &[Vec<usize>]) -> Vec<f64> {
    let mut places = vec![0.0; nodes];
    for layer in layers {
        for (place, node) in layer.iter().enumerate() {
            places[*node] = share(place, layer.len());
        }
    }
    places
}

fn share(place: usize, of: usize) -> f64 {
    (place as f64 + 0.5) / of as f64
}

/// The longest way to each node.
fn depths(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut behind = vec![Vec::new(); nodes];
    let mut waits_for = vec![0_usize; nodes];
    for (from, to) in edges {
        behind[*from].push(*to);
        waits_for[*to] += 1;
    }
    let mut depth = vec![0; nodes];
    let mut ready: Vec<usize> = (0..nodes).filter(|node| waits_for[*node] == 0).collect();
    while let Some(node) = ready.pop() {
        for next in &behind[node] {
            depth[*next] = depth[*next].max(depth[node] + 1);
            waits_for[*next] -= 1;
            if waits_for[*next] == 0 {
                ready.push(*next);
            }
        }
    }
    for (node, waits) in waits_for.iter().enumerate() {
        if *waits > 0 {
            depth[node] = 0;
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_stands_behind_what_it_starts_from() {
        // 0 -> 1 -> 2, and 0 -> 2.
        assert_eq!(layers(3, &[(0, 1), (1, 2), (0, 2)]), [vec![0], vec![1], vec![2]]);
        assert_eq!(layers(0, &[]), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn lines_cross_no_more_than_they_must() {
        // Two pairs, whose ends come in the other order.
        assert_eq!(layers(4, &[(0, 3), (1, 2)]), [vec![0, 1], vec![3, 2]]);
    }

    proptest! {
        #[test]
        fn every_node_has_one_place(nodes in 1usize..20, edges in prop::collection::vec((0usize..20, 0usize..20), 0..60)) {
            let edges: Vec<_> = edges.into_iter().filter(|(from, to)| *from < nodes && *to < nodes).collect();
            let mut all: Vec<usize> = layers(nodes, &edges).into_iter().flatten().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..nodes).collect::<Vec<_>>());
        }
    }
}

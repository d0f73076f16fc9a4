//! Short forms of ids: the coordinator accepts the first characters of one if no other begins so.

/// Shortest length, at least 8, at which all `ids` differ.
pub(crate) fn short_length<'a>(ids: impl IntoIterator<Item = &'a str>) -> usize {
    let mut ids: Vec<&str> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    // Sorted, so the closest relatives are neighbours.
    let shared = ids.windows(2).map(|pair| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count());
    shared.max().unwrap_or(0).max(7) + 1
}

pub(crate) fn short(id: &str, length: usize) -> &str {
    id.get(..length).unwrap_or(id).trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_short_as_can_be_told_apart() {
        let ids = ["0199a1b2-c3d4-7aaa-8000-000000000001", "0199a1b2-c3d4-7aab-8000-000000000001", "7f"];
        let length = short_length(ids);
        assert_eq!(short(ids[0], length), "0199a1b2-c3d4-7aaa");
        assert_eq!(short(ids[1], length), "0199a1b2-c3d4-7aab");
        assert_eq!(short(ids[2], length), "7f");
        assert_eq!(short_length([ids[0], ids[0]]), 8);
        assert_eq!(short(ids[0], 9), "0199a1b2");
    }
}

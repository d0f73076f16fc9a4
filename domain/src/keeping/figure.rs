//! The one result that jobs of a stage are compared by. Of each the larger is the better.

/// The name of an attack's figures, before their radius.
const ROBUST: &str = "robust_accuracy_at_";

/// The main figure among the results of a job; `None` if it has none, or one that is no number.
pub fn main_figure<'r>(stage: &str, results: impl IntoIterator<Item = (&'r str, f64)>) -> Option<f64> {
    let mut found: Option<(f64, f64)> = None;
    for (name, value) in results {
        let radius = match stage {
            "attack" => name.strip_prefix(ROBUST).and_then(|radius| radius.parse().ok()),
            "contrastive" => (name == "knn_accuracy").then_some(0.0),
            _ => (name == "test_accuracy").then_some(0.0),
        };
        if let Some(radius) = radius.filter(|radius: &f64| !radius.is_nan())
            && found.is_none_or(|(known, _)| radius >= known)
        {
            found = Some((radius, value));
        }
    }
    found.map(|(_, value)| value).filter(|value| !value.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_its_own() {
        let results = [("loss", 0.1), ("knn_accuracy", 0.4), ("test_accuracy", 0.6)];
        assert_eq!(main_figure("contrastive", results), Some(0.4));
        assert_eq!(main_figure("linear", results), Some(0.6));
        assert_eq!(main_figure("attack", results), None);
        let attack = [("robust_accuracy_at_0.25", 0.5), ("robust_accuracy_at_1.0", 0.2), ("robust_accuracy_at_x", 0.9)];
        assert_eq!(main_figure("attack", attack), Some(0.2), "that at the largest radius");
        assert_eq!(main_figure("linear", [("test_accuracy", f64::NAN)]), None);
    }
}

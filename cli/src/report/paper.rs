//! The figures of the paper (R. Campbell, D. C. Manta, A. Iannantuono, supervised by A. Oberman, "Robustness of Contrastive Learning
//! Models", 1 September 2020), as printed; and those behind its Figure 2, which prints no numbers.

/// What the tables are of.
pub(crate) const SOURCE: &str = "R. Campbell, D. C. Manta, A. Iannantuono, A. Oberman (supervisor), Robustness of Contrastive Learning \
                                 Models, 1 September 2020";
/// Where the distances behind Figure 2 are.
pub(crate) const DISTANCES: &str =
    "the distances that its authors published with their code (github.com/CristianManta/contrastive-learning, f2aa520)";

/// Kinds of models in the order of the columns of Table 1; Table 2 has the first two.
pub(crate) const MODELS: [&str; 3] = ["supervised", "contrastive", "fine-tuned"];

/// Table 1: share of the labels; test accuracy in percent by [`MODELS`].
pub(crate) const TABLE_1: [(f64, [f64; 3]); 3] =
    [(1.0, [93.93, 74.79, 77.05]), (0.1, [64.39, 70.83, 71.36]), (0.01, [30.92, 67.56, 66.94])];

/// Table 2: lambda; test accuracy in percent by the first two of [`MODELS`].
pub(crate) const TABLE_2: [(f64, [f64; 2]); 3] = [(0.1, [93.34, 71.9]), (1.0, [93.3, 67.76]), (10.0, [89.69, 60.71])];

/// Radii of [`PLB`].
pub(crate) const RADII: [f64; 11] = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0];

/// One model of Figure 2.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attacked<const N: usize> {
    pub(crate) model: &'static str,
    pub(crate) lambda: f64,
    pub(crate) figures: [f64; N],
}

/// PLB: percent of all test images that are misclassified within each of [`RADII`] (l2). Computed from [`DISTANCES`]: clean errors and
/// images that the attack did not break count as what they are.
pub(crate) const PLB: [Attacked<11>; 8] = [
    of("supervised", 0.0, [6.1, 20.7, 39.6, 60.0, 76.2, 87.0, 93.4, 98.7, 99.7, 100.0, 100.0]),
    of("supervised", 0.1, [6.7, 20.2, 37.5, 56.4, 73.2, 85.1, 92.2, 98.3, 99.7, 100.0, 100.0]),
    of("supervised", 1.0, [6.7, 17.1, 31.1, 47.5, 62.9, 76.3, 86.3, 96.3, 99.3, 100.0, 100.0]),
    of("supervised", 10.0, [10.3, 17.5, 25.9, 35.9, 46.0, 57.0, 67.1, 83.2, 92.4, 99.2, 99.9]),
    of("contrastive", 0.0, [30.6, 40.7, 49.4, 57.0, 64.8, 71.9, 78.4, 88.2, 94.7, 99.5, 99.9]),
    of("contrastive", 0.1, [45.1, 51.6, 57.5, 65.2, 69.4, 74.3, 79.8, 87.0, 93.2, 98.6, 100.0]),
    of("contrastive", 1.0, [53.1, 57.3, 62.2, 66.8, 70.5, 74.3, 78.3, 85.0, 90.1, 96.4, 98.3]),
    of("contrastive", 10.0, [59.7, 62.6, 65.4, 67.9, 69.8, 71.4, 73.6, 76.3, 79.2, 85.6, 89.9]),
];

/// Median l2 distance of PLB and of PGD over the images that fell, as Figure 2 counts. Computed from [`DISTANCES`].
pub(crate) const MEDIANS: [Attacked<2>; 8] = [
    of("supervised", 0.0, [0.132, 0.175]),
    of("supervised", 0.1, [0.141, 0.205]),
    of("supervised", 1.0, [0.169, 0.225]),
    of("supervised", 10.0, [0.243, 0.215]),
    of("contrastive", 0.0, [0.203, 0.461]),
    of("contrastive", 0.1, [0.227, 0.5]),
    of("contrastive", 1.0, [0.275, 0.5]),
    of("contrastive", 10.0, [0.515, 0.5]),
];

const fn of<const N: usize>(model: &'static str, lambda: f64, figures: [f64; N]) -> Attacked<N> {
    Attacked { model, lambda, figures }
}

/// How the paper's tables were made, where that is not how ours are: from its code.
pub(crate) const OF_TABLES: [&str; 2] = [
    "The paper's encoder is a thin ResNet of 1.5 million parameters (`resnet-paper` here), pretrained for 100 epochs; its supervised \
     model is trained for 200.",
    "The paper reports the best epoch by test accuracy, of one run; here the test images are evaluated once, after the model was \
     chosen without them.",
];

/// And of Table 1.
pub(crate) const OF_TABLE_1: [&str; 2] = [
    "The paper's fine-tuned model has an encoder that gets no gradient (`features.detach()` in its code): only its head and the \
     statistics of BatchNorm move. Here the whole network is trained.",
    "The paper's supervised model with 1 % of the labels is trained for 600 steps; a budget in steps here gives few labels as many \
     updates as all.",
];

/// What strengths of the penalty mean.
pub(crate) const OF_TABLE_2: [&str; 1] = [
    "At equal λ the paper's penalties are of unlike strength: its code divides that of the supervised \
                                    model, eq. (2), by the square of the batch size and not that of the contrastive one, eq. (3). \
                                    `scaling = \"paper_code\"` does the same.",
];

/// How the paper's Figure 2 was made.
pub(crate) const OF_FIGURE_2: [&str; 4] = [
    "Figure 2 counts only images that fell: clean errors and attacks that failed are left out, so that its curves of PGD reach 100 % at \
     0.5 by construction. Here all images count: a clean error is misclassified at distance 0, a failed attack is an image that withstood.",
    "The paper's PGD against contrastive models takes gradients of the wrong images as soon as one is misclassified (its \
     `pgd_attack/attack_utils.py`); most of its gap there comes from that. PLB is the curve to compare with.",
    "Both of the paper's attacks show contrastive models features that are not normalised as in training: their clean errors are 30.6, 45.1, \
     53.1 and 59.7 % where Table 1 and Table 2 say 25.2, 28.1, 32.2 and 39.3 %.",
    "The paper's penalised contrastive models were attacked on 1,000 images, the others on 10,000.",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_the_paper_are_shares_that_grow_with_the_radius() {
        for one in PLB {
            assert!(
                one.figures.is_sorted() && one.figures.iter().all(|percent| (0.0..=100.0).contains(percent)),
                "{one:?}"
            );
        }
        let [plb, medians] = [PLB.map(|one| (one.model, one.lambda)), MEDIANS.map(|one| (one.model, one.lambda))];
        assert_eq!(plb, medians);
        // "only lost 2.89 % .., 7.03 % .., 14.08 %": the text beside Figure 2 says so of the two tables.
        let lost = TABLE_2.map(|(_, [_, contrastive])| ((TABLE_1[0].1[1] - contrastive) * 100.0).round() / 100.0);
        assert_eq!(lost, [2.89, 7.03, 14.08]);
    }
}

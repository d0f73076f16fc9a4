use super::*;

#[test]
fn a_record_is_one_line_and_numbers_end_together() {
    let mut rows = Rows::new(Style::default(), &["JOB", "STEPS", "REASON"]);
    let reason = "waits for 2 workers; ".repeat(20);
    rows.row(["encoder".into(), "7".into(), Text::new(reason.trim(), Tone::Faint)]);
    rows.row(["linear".into(), "12,345".into(), "".into()]);
    rows.right(1);
    let text = rows.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("JOB "), "{text}");
    assert!(lines[1].starts_with("encoder       7  waits"), "{text}");
    assert_eq!(lines[2], "linear   12,345");
}

fn job(width: usize, color: bool) -> String {
    let mut rows = Rows::new(Style { color, width: Some(width) }, &["ID", "JOB", "STAGE", "OWNER", "NOTE"]);
    let note = Text::new("waits for 2 workers; cpu-1 busy until about 14:20", Tone::Faint);
    rows.row(["0199a1b2".into(), "encoder[lr=0.1]".into(), "contrastive".into(), "ann".into(), note]);
    rows.row(["0199a1b3".into(), "linear".into(), "linear".into(), "ann".into(), "".into()]);
    rows.less_needed(&[("STAGE", 2), ("OWNER", 1)]);
    rows.to_string()
}

#[test]
fn a_narrow_terminal_loses_columns_and_breaks_nothing_but_notes() {
    assert_eq!(job(120, false).lines().count(), 3);
    let beside = "\
ID        JOB              STAGE        OWNER  NOTE
0199a1b2  encoder[lr=0.1]  contrastive  ann    waits for 2 workers; cpu-1
                                               busy until about 14:20
0199a1b3  linear           linear       ann
";
    assert_eq!(job(76, false), beside);
    let below = "\
ID        JOB              STAGE        OWNER
0199a1b2  encoder[lr=0.1]  contrastive  ann
    waits for 2 workers; cpu-1 busy until about 14:20
0199a1b3  linear           linear       ann
";
    assert_eq!(job(60, false), below);
    let narrow = "\
ID        JOB
0199a1b2  encoder[lr=0.1]
    waits for 2 workers;
    cpu-1 busy until about
    14:20
0199a1b3  linear
";
    assert_eq!(job(27, false), narrow);
    assert!(job(3, false).contains("0199a1b2  encoder[lr=0.1]\n"), "what has to be seen runs over");
}

#[test]
fn heads_stand_above_their_columns_with_colours_too() {
    for width in [27, 60, 76, 120] {
        assert_eq!(console::strip_ansi_codes(&job(width, true)), job(width, false));
    }
}

#[test]
fn colour_only_where_it_is_wanted() {
    let text = |color| {
        let mut rows = Rows::new(Style { color, width: None }, &["STATE"]);
        rows.row([Text::new("failed", Tone::Bad)]);
        rows.to_string()
    };
    assert!(text(true).contains("\u{1b}["), "{}", text(true));
    assert!(!text(false).contains('\u{1b}'));
}

#[test]
fn a_value_forges_no_line() {
    let mut rows = Rows::new(Style { color: true, width: None }, &["NAME"]);
    rows.row([Text::new("a\nb\u{1b}[2J", Tone::Plain)]);
    let text = rows.to_string() + &pairs(&[("owner", "a\nid  7\u{1b}[31m".into())]);
    assert_eq!(text.lines().count(), 3, "{text:?}");
    assert!(!text.contains("\u{1b}[2J") && !text.contains("\u{1b}[31m"), "{text:?}");
}

#[test]
fn pairs_leave_out_what_is_empty() {
    assert_eq!(
        pairs(&[("id", "7".into()), ("reason", String::new()), ("stage", "linear".into())]),
        "id      7\nstage   linear\n"
    );
}

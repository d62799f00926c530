//! Temporary.
use serde as _;
fn main() {
    for n in [50_000, 100_000, 200_000, 400_000] {
        let mut text = String::from("- list: many\n  items:\n");
        for i in 0..n {
            text += &format!("  - some-name-of-a-program-{i}\n");
        }
        text += "- {rule: r, condition: proc.name in (many)}\n";
        let t = std::time::Instant::now();
        let x: Vec<serde_saphyr::Spanned<serde::de::IgnoredAny>> = serde_saphyr::from_str_with_options(&text, serde_saphyr::options!{budget: serde_saphyr::budget!{max_events: 20_000_000, max_nodes: 10_000_000,}, with_snippet: false,}).unwrap();
        eprintln!("{n} ignored {:?}", t.elapsed());
        drop(x);
        let t = std::time::Instant::now();
        let r = runtime_engines::RuleSet::compile(&[runtime_core::policy::RuleSource {
            origin: "x".into(),
            text,
            first_line: 1,
        }]);
        eprintln!("{n} all {:?} {}", t.elapsed(), r.1.len());
    }
}

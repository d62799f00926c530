//! The engines alone: events from a file, findings on standard output. No kernel, no root.
//!
//! ```sh
//! cargo run -p podwarden-examples --example engines_from_file [FILE]
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};

use runtime_core::policy::PolicySet;
use runtime_engines::testing::mk_exec_event;
use runtime_engines::{Pipeline, RuleSet, SignatureEngine, signatures};
use serde::Deserialize;

/// What this example's file says of an exec. A product fills [`runtime_core::Event`] from what it has.
#[derive(Deserialize)]
struct Recorded {
    path: String,
    args: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1);
    let file = file.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/events.jsonl").into());

    let (rules, problems) = RuleSet::compile(&[signatures::builtin()]);
    for problem in problems {
        eprintln!("{problem}");
    }
    let engines = vec![Box::new(SignatureEngine::new(rules)) as _];
    // Without a policy the default is in force: signatures in `prevent`.
    let mut pipeline = Pipeline::new(engines, PolicySet::new(Vec::new()));

    let lines = BufReader::new(File::open(&file).map_err(|error| format!("{file}: {error}"))?).lines();
    for (line, number) in lines.zip(1..) {
        let Recorded { path, args } =
            serde_json::from_str(&line?).map_err(|error| format!("{file}, line {number}: {error}"))?;
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let event = mk_exec_event(&path, &args);
        match pipeline.judge(&event) {
            None => println!("fine      {path}"),
            Some(verdict) => {
                let finding = &verdict.findings()[0];
                println!(
                    "{:<9} {path}: {}",
                    format!("{:?}", verdict.response()),
                    finding.rule.title
                );
            }
        }
    }
    Ok(())
}

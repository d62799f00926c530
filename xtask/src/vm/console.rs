//! Reads what the virtual machine wrote to its console.

use crate::Outcome;

/// Starts each line that `init` writes for us.
pub(crate) const MARKER: &str = "@@podwarden";

/// What came of one boot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The test programs that were started.
    pub(crate) programs: Vec<Program>,
    /// True when `init` came to its end.
    pub(crate) finished: bool,
}

/// What came of one test program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Program {
    /// Its name.
    pub(crate) name: String,
    /// Its exit status; `None` where the machine ended first.
    pub(crate) status: Option<i32>,
    /// From its `test result` lines.
    pub(crate) passed: u32,
    /// The same.
    pub(crate) failed: u32,
    /// The same.
    pub(crate) ignored: u32,
}

/// Reads the console. A line of the kernel may stand before a marker on the same line.
pub(crate) fn parse(console: &str) -> Report {
    let mut report = Report::default();
    for line in console.lines() {
        if let Some((_, words)) = line.split_once(MARKER) {
            let words: Vec<&str> = words.split_whitespace().collect();
            match words.as_slice() {
                ["begin", name] => {
                    report.programs.push(Program {
                        name: (*name).to_owned(),
                        ..Program::default()
                    });
                }
                ["end", name, status] => {
                    if let Some(program) = report.programs.iter_mut().find(|program| program.name == *name) {
                        program.status = status.parse().ok();
                    }
                }
                ["done"] => report.finished = true,
                _ => {}
            }
        } else if let (Some((_, counts)), Some(program)) =
            (line.split_once("test result: "), report.programs.last_mut())
        {
            program.passed += count(counts, "passed");
            program.failed += count(counts, "failed");
            program.ignored += count(counts, "ignored");
        }
    }
    report
}

impl Report {
    /// Fails where not every one of `expected` programs ran tests to a good end.
    pub(crate) fn judge(&self, expected: usize) -> Outcome {
        let Self { programs, finished } = self;
        if let Some(program) = programs.iter().find(|program| program.status != Some(0)) {
            let how = program.status.map_or_else(
                || "did not end".to_owned(),
                |status| format!("ended with status {status}, {} test(s) failed", program.failed),
            );
            return Err(format!("{} {how}", program.name).into());
        }
        if !finished || programs.len() != expected {
            return Err(format!(
                "{} of {expected} test programs ran before the machine ended",
                programs.len()
            )
            .into());
        }
        // A machine in which nothing was tested proves nothing.
        if programs.iter().map(|program| program.passed).sum::<u32>() == 0 {
            return Err("no test ran".into());
        }
        Ok(())
    }
}

/// The number before `what` in `ok. 3 passed; 0 failed; 1 ignored; …`.
fn count(counts: &str, what: &str) -> u32 {
    counts
        .split(';')
        .find_map(|part| part.trim().strip_suffix(what))
        .and_then(|part| part.split_whitespace().last())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
[    0.1] Linux version 5.10
[    1.0] noise @@podwarden begin container
running 4 tests
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s
@@podwarden end container 0
@@podwarden done
";

    #[test]
    fn a_good_console_gives_counts_and_passes() {
        let report = parse(GOOD);
        let program = Program {
            name: "container".to_owned(),
            status: Some(0),
            passed: 3,
            failed: 0,
            ignored: 1,
        };
        assert_eq!(
            report,
            Report {
                programs: vec![program],
                finished: true
            }
        );
        assert!(report.judge(1).is_ok());
    }

    #[test]
    fn what_did_not_end_well_fails() {
        let cut = GOOD.split("@@podwarden end").next().unwrap();
        assert_eq!(
            parse(cut).judge(1).unwrap_err().to_string(),
            "container did not end"
        );
        let failed = GOOD
            .replace("end container 0", "end container 101")
            .replace("0 failed", "2 failed");
        let error = parse(&failed).judge(1).unwrap_err().to_string();
        assert_eq!(error, "container ended with status 101, 2 test(s) failed");
        assert!(
            parse(GOOD).judge(2).is_err(),
            "a program that never began is missed"
        );
        assert!(
            parse(&GOOD.replace("3 passed", "0 passed")).judge(1).is_err(),
            "nothing was tested"
        );
        assert!(
            parse("").judge(0).is_err(),
            "a machine that did not boot is no success"
        );
    }
}

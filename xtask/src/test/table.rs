//! What came of the steps.

use std::time::Duration;

use crate::Outcome;

/// How a step that did not fail ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Done {
    /// All of it was done.
    Passed,
    /// It, or a part of it, was left out, and why.
    LeftOut(String),
}

/// One step.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) time: Duration,
    pub(crate) result: Outcome<Done>,
}

/// Prints the table, and below it what was left out.
pub(crate) fn print(rows: &[Row]) {
    println!("\n{:<34} {:>8}  result", "step", "time");
    for Row { name, time, result } in rows {
        let result = match result {
            Ok(Done::Passed) => "passed",
            Ok(Done::LeftOut(_)) => "LEFT OUT",
            Err(_) => "FAILED",
        };
        println!("{name:<34} {:>6.1} s  {result}", time.as_secs_f64());
    }
    let total: Duration = rows.iter().map(|row| row.time).sum();
    println!("{:<34} {:>6.1} s", "together", total.as_secs_f64());
    for Row { name, result, .. } in rows {
        match result {
            Ok(Done::Passed) => {}
            Ok(Done::LeftOut(reason)) => println!("left out: {name}: {reason}"),
            Err(error) => println!("failed: {name}: {error}"),
        }
    }
}

/// Fails where a step failed, and with `strict` also where one was left out.
pub(crate) fn judge(rows: &[Row], strict: bool) -> Outcome {
    let failed = rows.iter().filter(|row| row.result.is_err()).count();
    let left_out = rows
        .iter()
        .filter(|row| matches!(row.result, Ok(Done::LeftOut(_))))
        .count();
    match (failed, left_out) {
        (0, 0) if rows.is_empty() => Err("there is no such step".into()),
        (0, 0) => Ok(()),
        (0, left_out) if strict => Err(format!("{left_out} step(s) left out, with CI=true").into()),
        (0, _) => Ok(()),
        (failed, _) => Err(format!("{failed} step(s) failed").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_row(result: Outcome<Done>) -> Row {
        Row {
            name: "step".to_owned(),
            time: Duration::ZERO,
            result,
        }
    }

    #[test]
    fn leaving_out_fails_only_in_continuous_integration() {
        let rows = [
            mk_row(Ok(Done::Passed)),
            mk_row(Ok(Done::LeftOut("why".to_owned()))),
        ];
        assert!(judge(&rows, false).is_ok());
        assert!(judge(&rows, true).is_err());
    }

    #[test]
    fn a_failure_always_fails_and_so_does_doing_nothing() {
        assert!(judge(&[mk_row(Ok(Done::Passed)), mk_row(Err("no".into()))], false).is_err());
        assert!(judge(&[], false).is_err());
    }
}

//! `rules replay`: recorded events judged as the daemon would, and nothing done about them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use runtime_backend::JsonLines;
use runtime_core::event::record::Record;
use runtime_core::policy::PolicySet;
use runtime_core::{Action, Alert, AlertSink as _, Event, RawString, Response};
use runtime_engines::{Pipeline, RuleSet, SignatureEngine};

use crate::error::Error;

/// The name that alerts have in place of a node's.
const NODE: &str = "replay";

/// The longest line that is read, in bytes: many times what the longest event takes.
const LONGEST: u64 = 8 << 20;

/// Judges the events of a file by these rules, and writes an alert for each finding to standard output. Lines that
/// are no events are named on standard error, and whether there were none comes back.
pub(super) fn run(path: &Path, rules: RuleSet) -> Result<bool, Error> {
    let file = File::open(path).map_err(|source| Error::ReadEvents {
        path: path.to_owned(),
        source,
    })?;
    let mut lines = BufReader::new(file);
    let engines = vec![Box::new(SignatureEngine::new(rules)) as _];
    let mut pipeline = Pipeline::new(engines, PolicySet::new(Vec::new())).with_host_monitoring(true);
    let mut alerts = JsonLines::new(io::stdout().lock());
    let name = RawString::from(path.as_os_str().as_encoded_bytes());
    let (mut line, mut number, mut good) = (Vec::new(), 0_u64, true);
    loop {
        number += 1;
        let is_whole = read(&mut lines, &mut line).map_err(|source| Error::ReadEvents {
            path: path.to_owned(),
            source,
        })?;
        if line.is_empty() {
            return Ok(good);
        }
        let event = if is_whole {
            event(&line)
        } else {
            Err(format!("the line is longer than {} MiB", LONGEST >> 20))
        };
        match event {
            Ok(None) => {}
            Ok(Some(event)) => judge(&mut pipeline, &event, &mut alerts)?,
            Err(reason) => {
                good = false;
                eprintln!("{name}:{number}: {}", RawString::from(reason));
            }
        }
    }
}

/// Reads a line, its break included, and says whether all of it fitted; nothing at the end.
fn read(lines: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let length = lines.take(LONGEST).read_until(b'\n', line)?;
    let is_whole = (length as u64) < LONGEST || line.ends_with(b"\n");
    if !is_whole {
        lines.skip_until(b'\n')?;
    }
    Ok(is_whole)
}

/// The event of a line; `None` of an empty one.
fn event(line: &[u8]) -> Result<Option<Event>, String> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    let record: Record<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    Ok(Some(record.into_event()))
}

fn judge(
    pipeline: &mut Pipeline,
    event: &Event,
    alerts: &mut JsonLines<io::StdoutLock<'_>>,
) -> Result<(), Error> {
    let Some(verdict) = pipeline.judge(event) else {
        return Ok(());
    };
    for finding in verdict.findings() {
        let detail = match finding.response {
            Response::Alert => None,
            response => Some(format!(
                "replayed: nothing was done; the rule asks for {response}"
            )),
        };
        let alert = Alert::new(event, finding, NODE, (Action::Alerted, detail));
        alerts
            .deliver(&alert)
            .map_err(|error| Error::Output(io::Error::other(error)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_is_left_out_and_the_next_one_is_read() {
        let mut file = vec![b'x'; LONGEST as usize + 5];
        file.extend_from_slice(b"\n{}\n");
        let (mut file, mut line) = (file.as_slice(), Vec::new());
        assert!(!read(&mut file, &mut line).unwrap());
        assert!(read(&mut file, &mut line).unwrap());
        assert_eq!(line, b"{}\n");
        assert!(read(&mut file, &mut line).unwrap());
        assert_eq!(line, b"");
    }
}

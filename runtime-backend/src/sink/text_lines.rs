//! Alerts for people.

use std::fmt::{self, Write as _};
use std::io::Write;

use runtime_core::alert::{AlertActivity, AlertProcess};
use runtime_core::ports::PortError;
use runtime_core::{Alert, AlertSink, RawString};

/// Writes every alert as one line for a person to read, and flushes.
///
/// The form is for eyes alone and may change; programs read [`JsonLines`](super::JsonLines).
#[derive(Debug)]
pub struct TextLines<W> {
    writer: W,
}

impl<W: Write> TextLines<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }

    /// The writer.
    pub fn into_inner(self) -> W {
        self.writer
    }
}

impl<W: Write> AlertSink for TextLines<W> {
    fn deliver(&mut self, alert: &Alert) -> Result<(), PortError> {
        let mut line = String::new();
        write_line(&mut line, alert)?;
        // Names in an alert may come from a container; a line must stay one line, and plain text.
        let mut line = RawString::from(line).to_string();
        line.push('\n');
        self.writer.write_all(line.as_bytes())?;
        self.writer.flush()?;
        Ok(())
    }
}

fn write_line(line: &mut String, alert: &Alert) -> fmt::Result {
    let severity = alert.severity.to_string().to_uppercase();
    let action = alert.action.to_string();
    write!(
        line,
        "{} {severity:<8} {action:<7} {} [{}]",
        alert.time, alert.title, alert.rule
    )?;
    if alert.repeat_of.is_some() {
        write!(line, " (repeated {} times)", alert.count)?;
    }
    write_container(line, alert)?;
    write_process(line, &alert.process)?;
    write_activity(line, alert)?;
    if let Some(detail) = &alert.action_detail {
        write!(line, "; {detail}")?;
    }
    if let Some(output) = &alert.output {
        write!(line, "; {output}")?;
    }
    Ok(())
}

fn write_container(line: &mut String, alert: &Alert) -> fmt::Result {
    let Some(container) = &alert.container else {
        return line.write_str("; on the host");
    };
    line.write_str("; container ")?;
    if let Some(pod) = &alert.pod {
        write!(line, "{}/{}/", pod.namespace, pod.name)?;
    }
    // Twelve digits are what people see elsewhere.
    let short: String = container.id.as_str().chars().take(12).collect();
    match &container.name {
        Some(name) => write!(line, "{name} ({short})")?,
        None => line.write_str(&short)?,
    }
    match &container.image {
        Some(image) => write!(line, " of {image}"),
        None => Ok(()),
    }
}

fn write_process(line: &mut String, process: &AlertProcess) -> fmt::Result {
    write!(line, "; process {}", process.path)?;
    if let Some(name) = &process.invoked_as {
        write!(line, " as {name}")?;
    }
    if let Some(script) = &process.script {
        write!(line, " for {script}")?;
    }
    write!(line, " (pid {}, uid {})", process.pid, process.uid)?;
    if let Some(parent) = &process.parent_path {
        write!(line, " by {parent}")?;
    }
    line.write_str("; args")?;
    for arg in &process.args {
        write!(line, " {arg}")?;
    }
    if process.args_truncated {
        line.write_str(" and more")?;
    }
    Ok(())
}

fn write_activity(line: &mut String, alert: &Alert) -> fmt::Result {
    match &alert.activity {
        // What a process executed is the process itself, but for one that was denied.
        AlertActivity::Exec { path, .. } if *path == alert.process.path => Ok(()),
        AlertActivity::Exec { path, .. } => write!(line, "; exec {path}"),
        AlertActivity::File { op, path, new_path } => {
            write!(line, "; {op} {path}")?;
            new_path
                .as_ref()
                .map_or(Ok(()), |new_path| write!(line, " to {new_path}"))
        }
        AlertActivity::Network {
            op,
            protocol,
            address,
            port,
            domain,
        } => {
            write!(line, "; {op} {protocol}")?;
            if let Some(address) = address {
                // A colon in it would run into the port's.
                let bracketed = address.contains(':') && port.is_some();
                let (open, close) = if bracketed { ("[", "]") } else { ("", "") };
                write!(line, " {open}{}{close}", RawString::from(address.as_str()))?;
            }
            if let Some(port) = port {
                write!(line, ":{port}")?;
            }
            domain
                .as_ref()
                .map_or(Ok(()), |domain| write!(line, " ({domain})"))
        }
        AlertActivity::Dns { name, addresses } => {
            write!(line, "; dns {name}")?;
            for address in addresses.iter().flatten() {
                write!(line, " {address}")?;
            }
            Ok(())
        }
        AlertActivity::Other { op, target: None } => write!(line, "; {op}"),
        AlertActivity::Other {
            op,
            target: Some(target),
        } => write!(line, "; {op} {target}"),
    }
}

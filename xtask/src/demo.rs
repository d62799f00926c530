//! `cargo xtask demo`: a real container, a stand-in for a miner in it, and what the daemon does about that.

use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::{Container, Runtime};

use crate::Outcome;
use crate::guarded::{self, Daemon};

/// Show a crypto miner detected in a real container, and the container killed
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    given: guarded::Given,
}

const LIMIT: Duration = Duration::from_secs(10);
/// A copy of a program that only sleeps, under the name and with the arguments of a well-known miner.
const MINER: &str = "/usr/local/bin/xmrig";

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let program = guarded::prepare(&arguments.given)?;
    let begin = Instant::now();
    let tell = |text: &str| println!("{:>6.2} s  {text}", begin.elapsed().as_secs_f64());

    let daemon = Daemon::start(&program)?;
    tell("The daemon watches this machine, with its built-in signatures and the default policy.");

    let runtime = Runtime::best();
    let made_by = match runtime {
        Runtime::Runc => "runc",
        Runtime::Own => "the demo itself, from namespaces and a cgroup",
    };
    let mut container = Container::builder()
        .name("web")
        .runtime(runtime)
        .workload_as(MINER)
        .entrypoint(["/bin/workload", "sleep", "60"])
        .run()?;
    let id = container.id().to_owned();
    tell(&format!(
        "Container {} is up, made by {made_by}; its main process has pid {}.",
        short(&id),
        container.pid()
    ));
    std::thread::sleep(Duration::from_millis(500));
    if !container.is_alive() {
        return Err(format!("the container ended on its own: {}", container.log()).into());
    }
    tell("Nothing happens to it: it does nothing wrong.");

    tell("Somebody in it starts a crypto miner (a harmless stand-in) …");
    let _intruder = container.exec(["/bin/workload", "mine", MINER])?;
    let alert = daemon.alert_of(&id, LIMIT)?;
    let process = &alert["process"];
    tell(&format!(
        "Exec seen:          {} {}",
        text(&process["path"]),
        words(&process["args"])
    ));
    tell(&format!(
        "  in container      {}",
        short(text(&alert["container"]["id"]))
    ));
    tell(&format!("  started by        {}", text(&process["parentPath"])));
    tell(&format!(
        "Signature matched:  {} ({}): {}",
        text(&alert["rule"]),
        text(&alert["severity"]),
        text(&alert["title"])
    ));
    tell(&format!(
        "Action:             {}: {}",
        text(&alert["action"]),
        text(&alert["actionDetail"])
    ));

    expect(
        &alert["rule"] == "crypto-miner-execution",
        "the alert names the signature",
    )?;
    expect(process["path"] == MINER, "the alert names the process")?;
    expect(
        process["parentPath"] == "/bin/workload",
        "the alert names the parent",
    )?;
    expect(
        process["args"][3] == "stratum+tcp://pool.example:3333",
        "the alert has the arguments",
    )?;
    expect(alert["action"] == "killed", "the container was killed")?;
    container.wait(LIMIT)?;
    expect(
        container.processes().is_empty(),
        "nothing of the container is left",
    )?;
    tell("The container is dead, and nothing of it is left.");
    container.remove()?;
    daemon.stop()?;
    tell("The daemon has ended, and with it everything that it had put into the kernel.");
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn words(value: &Value) -> String {
    let words = value.as_array().map(Vec::as_slice).unwrap_or_default();
    words.iter().skip(1).map(text).collect::<Vec<_>>().join(" ")
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn expect(is: bool, what: &str) -> Outcome {
    if is {
        Ok(())
    } else {
        Err(format!("this did not hold: {what}").into())
    }
}

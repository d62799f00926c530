//! `cargo xtask test`: every check and test there is, timed, with a plain list of what was left out and why.

mod checks;
mod fuzz;
mod table;

use std::time::Instant;

use crate::command::Privilege;
use crate::vm::{self, Built, KERNELS, Options};
use crate::{Outcome, bpf, in_ci, setup};
use table::{Done, Row};

/// Run every check and test there is.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the steps whose name contains this; the others are not run.
    #[arg(long)]
    only: Vec<String>,
}

/// What the steps share.
struct Context {
    privilege: Privilege,
    /// Built once, run on this kernel and in the virtual machines.
    privileged: Option<Outcome<Built>>,
}

/// A step's work: done, or left out for a reason.
type Work = Box<dyn Fn(&mut Context) -> Outcome<Done>>;

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut context = Context {
        privilege: Privilege::find(),
        privileged: None,
    };
    let mut rows = Vec::new();
    for (name, work) in steps() {
        if !arguments.only.is_empty() && !arguments.only.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        println!("\n== {name}");
        let start = Instant::now();
        let result = work(&mut context);
        let time = start.elapsed();
        if let Err(error) = &result {
            println!("failed: {error}");
        }
        rows.push(Row { name, time, result });
    }
    table::print(&rows);
    table::judge(&rows, in_ci())
}

/// All steps, the quick ones first: a mistake in the text shows before anything long runs.
fn steps() -> Vec<(String, Work)> {
    let mut steps: Vec<(String, Work)> = Vec::new();
    let mut step = |name: &str, work: Work| steps.push((name.to_owned(), work));
    step(
        "packages",
        Box::new(|context| setup::install(context.privilege).map(|()| Done::Passed)),
    );
    step("format", Box::new(|_| checks::format()));
    step("BPF objects", Box::new(|_| bpf_objects()));
    step("dependency rules", Box::new(|_| checks::dependencies()));
    step("clippy", Box::new(|_| checks::clippy()));
    step("each crate alone", Box::new(|_| checks::each_alone()));
    step("unit, doc and property tests", Box::new(|_| checks::tests()));
    step("documentation", Box::new(|_| checks::documentation()));
    step("privileged tests, this kernel", Box::new(privileged));
    step("fuzzing", Box::new(|_| fuzz::run()));
    for kernel in &KERNELS {
        let name = format!("privileged tests, Linux {}", kernel.name);
        step(&name, Box::new(|context| in_machine(context, kernel)));
    }
    steps
}

fn bpf_objects() -> Outcome<Done> {
    if let Some(missing) = bpf::obstacle() {
        return Ok(Done::LeftOut(missing));
    }
    bpf::check().map(|()| Done::Passed)
}

fn privileged(context: &mut Context) -> Outcome<Done> {
    if context.privilege == Privilege::None {
        return Ok(Done::LeftOut("needs root, and there is no sudo".to_owned()));
    }
    let privilege = context.privilege;
    vm::run_here(built(context)?, privilege).map(|()| Done::Passed)
}

fn in_machine(context: &mut Context, kernel: &vm::Kernel) -> Outcome<Done> {
    if let Some(obstacle) = vm::obstacle() {
        return Ok(Done::LeftOut(obstacle));
    }
    if let Some(obstacle) = vm::fetch(kernel).err() {
        return Ok(Done::LeftOut(format!("no kernel: {obstacle}")));
    }
    vm::boot(kernel, built(context)?, &Options::default()).map(|()| Done::Passed)
}

/// Builds the privileged tests at the first call.
fn built(context: &mut Context) -> Outcome<&Built> {
    let outcome = context.privileged.get_or_insert_with(|| vm::build(&[]));
    outcome
        .as_ref()
        .map_err(|error| format!("the privileged tests do not build: {error}").into())
}

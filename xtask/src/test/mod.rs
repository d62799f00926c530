//! `cargo xtask test`: every check and test there is, timed, with a plain list of what was left out and why.

mod checks;
mod fuzz;
mod table;

use std::time::Instant;

use crate::privilege::Privilege;
use crate::vm::{self, Built, KERNELS, Options};
use crate::{Outcome, bpf, in_ci, setup};
use table::{Done, Row};

/// Run every check and test there is.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the steps whose name contains this; the others are not run.
    #[arg(long)]
    only: Vec<String>,
    /// Of the privileged tests only those whose name contains this.
    #[arg(long)]
    filter: Option<String>,
}

/// What the steps share.
struct Context {
    /// Of the privileged tests only those whose name contains this.
    filter: Option<String>,
    /// Built once, run on this kernel and in the virtual machines.
    privileged: Option<Outcome<Built>>,
}

/// A step's work: done, or left out for a reason.
type Work = Box<dyn Fn(&mut Context) -> Outcome<Done>>;

/// The step that cannot do without root.
const ON_THIS_KERNEL: &str = "privileged tests, this kernel";

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let is_wanted = |name: &str| {
        arguments.only.is_empty() || arguments.only.iter().any(|part| name.contains(part.as_str()))
    };
    let steps: Vec<_> = steps().into_iter().filter(|(name, _)| is_wanted(name)).collect();
    // Before the first step: nobody waits for a password, or for a failure that is certain, until all is built.
    if steps.iter().any(|(name, _)| name == ON_THIS_KERNEL)
        && let Privilege::None(why) = Privilege::find()
        && in_ci()
    {
        return Err(format!("with CI=true nothing is left out, and `{ON_THIS_KERNEL}` {why}").into());
    }
    let mut context = Context {
        filter: arguments.filter.clone(),
        privileged: None,
    };
    let mut rows = Vec::new();
    for (name, work) in steps {
        println!("\n== {name}");
        Privilege::keep();
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
    step("packages", Box::new(|_| setup::install().map(|()| Done::Passed)));
    step("format", Box::new(|_| checks::format()));
    step("BPF objects", Box::new(|_| bpf_objects()));
    step("dependency rules", Box::new(|_| checks::dependencies()));
    step("clippy", Box::new(|_| checks::clippy()));
    step("each crate alone", Box::new(|_| checks::each_alone()));
    step("unit, doc and property tests", Box::new(|_| checks::tests()));
    step("documentation", Box::new(|_| checks::documentation()));
    step(ON_THIS_KERNEL, Box::new(privileged));
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
    if let Privilege::None(why) = Privilege::find() {
        return Ok(Done::LeftOut(why.to_owned()));
    }
    let filter = context.filter.clone();
    vm::run_here(built(context)?, filter.as_deref()).map(|()| Done::Passed)
}

fn in_machine(context: &mut Context, kernel: &vm::Kernel) -> Outcome<Done> {
    if let Some(obstacle) = vm::obstacle() {
        return Ok(Done::LeftOut(obstacle));
    }
    if let Some(obstacle) = vm::fetch(kernel).err() {
        return Ok(Done::LeftOut(format!("no kernel: {obstacle}")));
    }
    let filter = context.filter.clone();
    let options = Options {
        filter: filter.as_deref(),
        verbose: false,
    };
    vm::boot(kernel, built(context)?, &options).map(|()| Done::Passed)
}

/// Builds the privileged tests at the first call.
fn built(context: &mut Context) -> Outcome<&Built> {
    let outcome = context.privileged.get_or_insert_with(|| vm::build(&[]));
    outcome
        .as_ref()
        .map_err(|error| format!("the privileged tests do not build: {error}").into())
}

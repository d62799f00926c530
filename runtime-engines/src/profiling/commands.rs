//! What a pod's own spec has the runtime execute in its containers: exec probes and lifecycle hooks.

use runtime_core::process::ParentExe;
use runtime_core::profile::Command;
use runtime_core::{Process, RawString};

/// Whether a process is the runtime's execution of one of these commands: by its parent and all of its arguments.
///
/// Nothing less will do. A probe `sh -c …` is to allow that very line, and no other shell that somebody has the
/// runtime start.
pub(super) fn is_command(process: &Process, commands: &[Command]) -> bool {
    process.parent.exe == ParentExe::Runtime
        && !process.args_truncated
        && process.args.len() == process.args_count as usize
        && commands.iter().any(|command| fits(process, command))
}

fn fits(process: &Process, command: &Command) -> bool {
    match &process.identity.script {
        None => process.args == *command,
        Some(script) => runs_script(&process.args, script, command),
    }
}

/// For a script the kernel puts the interpreter, at most one argument for it and the script's name in the place of the
/// zeroth argument.
fn runs_script(args: &[RawString], script: &RawString, command: &Command) -> bool {
    let Some((called, rest)) = command.split_first() else {
        return false;
    };
    let Some(head) = args
        .len()
        .checked_sub(rest.len())
        .filter(|head| matches!(head, 2 | 3))
    else {
        return false;
    };
    let is_script = if called.contains(&b'/') {
        args[head - 1] == *called
    } else {
        // It was looked for in the directories of `PATH`.
        script.base_name() == &**called
    };
    is_script && args[head..] == *rest && args[head - 1].base_name() == script.base_name()
}

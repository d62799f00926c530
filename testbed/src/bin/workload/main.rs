//! What containers run: small programs in one static file, each by its name.

mod calls;
mod load;
mod race;
mod ring;
mod run;
mod syscalls;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: workload COMMAND …
  sleep SECS                 sleep
  pause                      sleep and reap, as a pod's sandbox does
  miner ARGS…                sleep, whatever the arguments
  mine PATH                  run PATH, as `miner` with a pool's address
  burn SECS                  keep a processor busy
  fork-only                  fork a child that exits without exec
  fork-bomb N                N sleeping children, at once
  copy FROM TO               copy a file, with its mode
  print ARGS…                print the arguments, one a line
  spawn PATH N [ARGS…]       run PATH N times; prints the mean time of one, in ns
  exec-as ARGV0 PATH ARGS…   exec PATH under another argv[0]
  double-fork PATH ARGS…     exec PATH in a grandchild whose parent has exited
  fork-exit PATH ARGS…       exec PATH in a child after this process has exited
  clone-parent PATH ARGS…    exec PATH in a child made with CLONE_PARENT
  memfd PATH ARGS…           exec a copy of PATH in memory
  execveat PATH ARGS…        exec PATH through a descriptor of its folder
  deleted PATH ARGS…         exec a copy of PATH that was unlinked
  many-args N LEN PATH       exec PATH with N arguments of LEN bytes each
  threads-exec PATH ARGS…    exec PATH from a thread that is not the first
  storm PATH N PROCS         N runs of PATH, shared by PROCS processes; prints how many were made
  syscalls NUMBER VALUE… , …  system calls by their numbers; prints their results
  race A B N                 N opens of a path that a thread changes from A to B and back meanwhile; prints how often
                             A was opened, and B
  measure KIND:N[:PATH]…     N calls of each KIND: exec, open-read, open-write (of PATH), connect, getpid, read;
                             prints a line for each, with the mean time of one, in ns
  flood PATH SECS PROCS      PROCS processes open PATH for writing, flat out; prints how often
  pace PATH PROGRAM OPENS CONNECTS EXECS SECS
                             so many a second, evenly; prints how many were made
  within CGROUP:… COMMAND…   do COMMAND in these cgroups";

/// What a command gives back; nobody looks into an error, it is only told.
type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("workload: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[OsString]) -> Outcome {
    let Some((command, args)) = args.split_first() else {
        return Err(USAGE.into());
    };
    match (command.to_str().unwrap_or_default(), args) {
        ("sleep", [secs]) => {
            load::sleep(number(secs)?);
            Ok(())
        }
        ("pause", []) => load::pause(),
        ("miner", _) => {
            load::sleep(3600);
            Ok(())
        }
        ("mine", [path]) => {
            let pool = ["miner", "-o", "stratum+tcp://pool.example:3333"].map(OsString::from);
            load::spawn(path, 1, &pool)
        }
        ("burn", [secs]) => {
            load::burn(number(secs)?);
            Ok(())
        }
        ("fork-only", []) => load::fork_only(),
        ("fork-bomb", [count]) => load::fork_bomb(number(count)?),
        ("print", args) => {
            for arg in args {
                println!("{}", arg.display());
            }
            Ok(())
        }
        ("copy", [from, to]) => Ok(std::fs::copy(from, to).map(drop)?),
        ("spawn", [path, count, args @ ..]) => load::spawn(path, number(count)?, args),
        ("storm", [path, count, processes]) => load::storm(path, number(count)?, number(processes)?),
        ("syscalls", words) => syscalls::syscalls(words),
        ("race", [a, b, count]) => race::race(a, b, number(count)?),
        ("measure", kinds) => calls::measure(kinds),
        ("flood", [path, secs, processes]) => calls::flood(path, number(secs)?, number(processes)?),
        ("pace", [path, program, opens, connects, execs, secs]) => {
            let rates = calls::Rates {
                opens: number(opens)?,
                connects: number(connects)?,
                execs: number(execs)?,
            };
            calls::pace(path, program, &rates, number(secs)?)
        }
        ("within", [cgroups, command @ ..]) => {
            let cgroups: Vec<PathBuf> = std::env::split_paths(cgroups).collect();
            testbed::cgroup::join(&cgroups)?;
            // Executed again, so that whoever watches cgroups by what is executed in them sees it.
            Err(Command::new("/proc/self/exe").args(command).exec().into())
        }
        ("exec-as", [name, path, args @ ..]) => run::exec_as(name, path, args),
        ("double-fork", [path, args @ ..]) => run::double_fork(path, args),
        ("fork-exit", [path, args @ ..]) => run::fork_exit(path, args),
        ("clone-parent", [path, args @ ..]) => run::clone_parent(path, args),
        ("memfd", [path, args @ ..]) => run::memfd(path, args),
        ("execveat", [path, args @ ..]) => run::execveat(path, args),
        ("deleted", [path, args @ ..]) => run::deleted(path, args),
        ("many-args", [count, length, path]) => run::many_args(number(count)?, number(length)?, path),
        ("threads-exec", [path, args @ ..]) => run::threads_exec(path, args),
        _ => Err(USAGE.into()),
    }
}

fn number(text: &OsString) -> Result<u64, Box<dyn std::error::Error>> {
    let text = text.to_str().ok_or("a number is not text")?;
    text.parse()
        .map_err(|error| format!("{text:?} is no number: {error}").into())
}

//! The floor under every sensor's cost: a program that does nothing, on the hook of the sensor's own.

use aya::Ebpf;
use aya::programs::RawTracePoint;

use super::scratch::Scratch;
use crate::Outcome;
use crate::command::{Limited, is_installed};

const CLANG: &str = "clang-19";
const SOURCE: &str = include_str!("floor.bpf.c");
const PROGRAM: &str = "nothing";
const HOOK: &str = "sys_exit";

/// The compiled program.
pub(crate) struct Floor {
    object: Vec<u8>,
}

impl Floor {
    /// Compiles it.
    pub(crate) fn compile() -> Outcome<Self> {
        if !is_installed(CLANG) {
            return Err(format!(
                "{CLANG} is not installed; `cargo xtask setup` does that, or leave the floor out"
            )
            .into());
        }
        let folder = Scratch::new("floor")?;
        let (source, object) = (
            folder.path().join("floor.bpf.c"),
            folder.path().join("floor.bpf.o"),
        );
        std::fs::write(&source, SOURCE)?;
        Limited::new(CLANG)
            .args(["-O2", "-target", "bpf", "-mcpu=v3", "-c"])
            .args([&source])
            .args(["-o"])
            .args([&object])
            .run()?;
        Ok(Self {
            object: std::fs::read(object)?,
        })
    }

    /// Attaches it; it runs at the end of every system call of this machine until what is returned is dropped.
    pub(crate) fn attach(&self) -> Outcome<Ebpf> {
        let mut loaded = Ebpf::load(&self.object)?;
        let program: &mut RawTracePoint = loaded
            .program_mut(PROGRAM)
            .ok_or("the floor's object has no program")?
            .try_into()?;
        program.load()?;
        program.attach(HOOK)?;
        Ok(loaded)
    }
}

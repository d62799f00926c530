//! The smallest program there is, made of bytes: no compiler, no libc, nothing to find on the machine.

/// Where the program is mapped.
const BASE: u64 = 0x40_0000;
/// The ELF header and one program header come before the code.
const CODE_OFFSET: u64 = 64 + 56;
/// `mov eax, 60; xor edi, edi; syscall`: `exit(0)`.
const CODE: [u8; 9] = [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];

/// A static x86-64 executable that exits at once with status 0.
///
/// Write it to a file with execute permission. It is what the cost of an exec is measured with: there is no
/// shorter life of a process.
pub fn tiny() -> Vec<u8> {
    let size = CODE_OFFSET + CODE.len() as u64;
    let mut elf = Vec::with_capacity(size as usize);
    // Identification: 64 bits, little endian, version 1, System V.
    elf.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // An executable for x86-64, version 1.
    elf.extend(2_u16.to_le_bytes());
    elf.extend(62_u16.to_le_bytes());
    elf.extend(1_u32.to_le_bytes());
    // Entry point, program headers right after this header, no section headers, no flags.
    elf.extend((BASE + CODE_OFFSET).to_le_bytes());
    elf.extend(64_u64.to_le_bytes());
    elf.extend(0_u64.to_le_bytes());
    elf.extend(0_u32.to_le_bytes());
    // Sizes and counts: this header, one program header, no sections.
    for value in [64_u16, 56, 1, 64, 0, 0] {
        elf.extend(value.to_le_bytes());
    }
    // One loadable segment, readable and executable: the whole file.
    elf.extend(1_u32.to_le_bytes());
    elf.extend(5_u32.to_le_bytes());
    for value in [0, BASE, BASE, size, size, 0x1000_u64] {
        elf.extend(value.to_le_bytes());
    }
    elf.extend(CODE);
    elf
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn it_runs_and_exits_with_success() {
        let path = std::env::temp_dir().join(format!("tiny-{}", std::process::id()));
        std::fs::write(&path, tiny()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let status = Command::new(&path).status();
        std::fs::remove_file(&path).unwrap();
        assert!(status.unwrap().success());
    }
}

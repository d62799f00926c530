//! System calls by their numbers, one after the other: exactly what a test asks for, without a C library that would
//! make others of them.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;

use crate::Outcome;
use crate::ring;
use crate::run::fork;

/// Values that system calls get. What they point at is never freed: the program is short.
struct Values {
    results: Vec<i64>,
    /// How long the last socket address was.
    length: usize,
    /// Where pointers have to fit into 32 bits.
    low: bool,
}

/// Makes the calls that `words` name: `NUMBER VALUE… , NUMBER VALUE…`, and prints the result of each in a line,
/// `-errno` for an error. `int80` before a number makes it by the 32-bit entry; `child` in place of one forks a
/// process that waits, and gives its number. `ring OPCODE DESCRIPTOR OFFSET ADDRESS LENGTH OPFLAGS FLAGS INDEX` has
/// `io_uring` carry an operation out; values at the end that are 0 can be left out.
///
/// A value is a number (`-100`, `0x41`, `0o644`), `=N` for the result of the N-th call, `s:TEXT`, `x:HEX`, `zeros`
/// (64 KiB), `in:ADDRESS:PORT`, `un:PATH` (`un:@NAME`) for a socket address with `len` for its length, `msg:` before
/// one of these for a message to it, or `how:FLAGS:MODE`.
pub(crate) fn syscalls(words: &[OsString]) -> Outcome {
    let mut values = Values {
        results: Vec::new(),
        length: 0,
        low: false,
    };
    for call in words.split(|word| word == ",") {
        let (int80, call) = match call {
            [first, rest @ ..] if first == "int80" => (true, rest),
            call => (false, call),
        };
        values.low = int80;
        let result = match call {
            [name] if name == "child" => child()?,
            [name, args @ ..] if name == "ring" => {
                let mut numbers = [0_i64; 8];
                for (number, word) in numbers.iter_mut().zip(args) {
                    *number = values.value(word.as_bytes())?;
                }
                ring::operate(numbers)
            }
            [number, args @ ..] => {
                let number = values.value(number.as_bytes())?;
                let mut numbers = [0_i64; 6];
                for (number, word) in numbers.iter_mut().zip(args) {
                    *number = values.value(word.as_bytes())?;
                }
                if int80 {
                    enter_32(number, &numbers)
                } else {
                    enter(number, numbers)
                }
            }
            [] => return Err("a call without a number".into()),
        };
        println!("{result}");
        values.results.push(result);
    }
    Ok(())
}

fn child() -> Result<i64, Box<dyn std::error::Error>> {
    match fork()? {
        0 => {
            std::thread::sleep(std::time::Duration::from_secs(20));
            std::process::exit(0);
        }
        pid => Ok(i64::from(pid)),
    }
}

fn enter(number: i64, args: [i64; 6]) -> i64 {
    // SAFETY: what the call does is what the test asks for; pointers lead to memory that is never freed.
    let result = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]) };
    if result >= 0 {
        return result;
    }
    -std::io::Error::last_os_error()
        .raw_os_error()
        .map_or(1, i64::from)
}

/// `int 0x80` from 64-bit code: the kernel takes the numbers and the arguments of a 32-bit process.
#[cfg(target_arch = "x86_64")]
fn enter_32(number: i64, args: &[i64; 6]) -> i64 {
    let result: i64;
    // SAFETY: as above. The compiler keeps rbx for itself, so it is put back.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) args[0] => _,
            inlateout("rax") number => result,
            in("rcx") args[1],
            in("rdx") args[2],
            in("rsi") args[3],
            in("rdi") args[4],
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
        );
    }
    i64::from(result as i32)
}

#[cfg(not(target_arch = "x86_64"))]
fn enter_32(_: i64, _: &[i64; 6]) -> i64 {
    -i64::from(libc::ENOSYS)
}

impl Values {
    fn value(&mut self, word: &[u8]) -> Result<i64, Box<dyn std::error::Error>> {
        if let Some(text) = word.strip_prefix(b"s:") {
            return Ok(self.keep([text, b"\0"].concat()));
        }
        let word = str::from_utf8(word)?;
        if word == "len" {
            return Ok(self.length as i64);
        }
        if word == "zeros" {
            return Ok(self.keep(vec![0; 65536]));
        }
        if let Some(number) = word.strip_prefix('=') {
            return Ok(self.results[number.parse::<usize>()?]);
        }
        if let Some(hex) = word.strip_prefix("x:") {
            let digits = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16));
            return Ok(self.keep(digits.collect::<Result<_, _>>()?));
        }
        if let Some(how) = word.strip_prefix("how:") {
            let (flags, mode) = how.split_once(':').ok_or("how:FLAGS:MODE")?;
            let words = [number(flags)?, number(mode)?, 0];
            return Ok(self.keep(words.iter().flat_map(|word| word.to_ne_bytes()).collect()));
        }
        if let Some(address) = word.strip_prefix("msg:") {
            let address = self.address(address)?;
            let piece = [self.keep(vec![b'x']), 1];
            let piece = self.keep(piece.iter().flat_map(|word| word.to_ne_bytes()).collect());
            // struct msghdr, and the length of a struct mmsghdr.
            let words = [address, self.length as i64, piece, 1, 0, 0, 0, 0];
            return Ok(self.keep(words.iter().flat_map(|word| word.to_ne_bytes()).collect()));
        }
        if word.starts_with("in:") || word.starts_with("un:") {
            return self.address(word);
        }
        Ok(number(word)?)
    }

    fn address(&mut self, word: &str) -> Result<i64, Box<dyn std::error::Error>> {
        let mut bytes = Vec::new();
        if let Some(address) = word.strip_prefix("in:") {
            match address.parse()? {
                SocketAddr::V4(address) => {
                    bytes.extend((libc::AF_INET as u16).to_ne_bytes());
                    bytes.extend(address.port().to_be_bytes());
                    bytes.extend(address.ip().octets());
                    bytes.extend([0; 8]);
                }
                SocketAddr::V6(address) => {
                    bytes.extend((libc::AF_INET6 as u16).to_ne_bytes());
                    bytes.extend(address.port().to_be_bytes());
                    bytes.extend([0; 4]);
                    bytes.extend(address.ip().octets());
                    bytes.extend([0; 4]);
                }
            }
        } else {
            let path = word.strip_prefix("un:").ok_or("in: or un:")?;
            bytes.extend((libc::AF_UNIX as u16).to_ne_bytes());
            match path.strip_prefix('@') {
                Some(name) => bytes.extend([b"\0", name.as_bytes()].concat()),
                None => bytes.extend([path.as_bytes(), b"\0"].concat()),
            }
        }
        self.length = bytes.len();
        Ok(self.keep(bytes))
    }

    /// Puts bytes where the kernel can find them.
    fn keep(&self, bytes: Vec<u8>) -> i64 {
        if !self.low {
            return bytes.leak().as_ptr() as i64;
        }
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let length = bytes.len().max(1);
        // SAFETY: a new mapping of its own, as long as what is copied to it.
        unsafe {
            let place = libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0);
            assert!(place != libc::MAP_FAILED, "no memory below 4 GiB");
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), place.cast(), bytes.len());
            place as i64
        }
    }
}

fn number(word: &str) -> Result<i64, std::num::ParseIntError> {
    match (word.strip_prefix("0x"), word.strip_prefix("0o")) {
        (Some(hex), _) => u64::from_str_radix(hex, 16).map(|number| number as i64),
        (_, Some(octal)) => i64::from_str_radix(octal, 8),
        _ => word.parse(),
    }
}

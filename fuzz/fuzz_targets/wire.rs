//! Kernel records: whatever decodes must survive being written and read again, and nothing may panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_ebpf::wire::Record;

fuzz_target!(|data: &[u8]| {
    check(data);
    // The length field guards everything else: with the right one the fuzzer gets further.
    if data.len() >= 8 {
        let mut record = data.to_vec();
        record[4..8].copy_from_slice(&(data.len() as u32).to_ne_bytes());
        check(&record);
    }
});

fn check(data: &[u8]) {
    if let Ok(record) = Record::decode(data) {
        let again = record.encode();
        assert_eq!(Record::decode(&again).as_ref(), Ok(&record));
    }
}

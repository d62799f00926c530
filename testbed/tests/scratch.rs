//! scratch
use std::time::Instant;
#[test]
fn times() {
    let t = Instant::now();
    let p = testbed::programs().unwrap();
    println!("@ programs {:?} {p:?}", t.elapsed());
    for _ in 0..3 {
        let t = Instant::now();
        let mut c = testbed::Container::builder().create().unwrap();
        println!("@ create {:?}", t.elapsed());
        let t = Instant::now();
        c.start().unwrap();
        println!("@ start {:?}", t.elapsed());
        let t = Instant::now();
        c.exec(["/bin/tiny"])
            .unwrap()
            .wait(std::time::Duration::from_secs(10))
            .unwrap();
        println!("@ exec {:?}", t.elapsed());
        let t = Instant::now();
        c.remove().unwrap();
        println!("@ remove {:?}", t.elapsed());
    }
    panic!();
}

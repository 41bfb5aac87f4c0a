//! Speed of the real model; run by hand:
//! `cargo test -p weirgate-inference --release --test speed -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, reason = "test code that clippy does not take for such")]

mod common;

use std::time::{Duration, Instant};

use common::{Sequence, generator, model_on, step};

/// CPU time of this process, which other work on the machine inflates less than wall time.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // utime and stime, in ticks of 10 ms.
    Duration::from_millis(10 * (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()))
}

fn report(what: &str, tokens: u32, wall: Instant, cpu: Duration) {
    let (wall, cpu) = (wall.elapsed().as_secs_f64(), (cpu_time() - cpu).as_secs_f64());
    println!("{what}: {:.0} tok/s, {:.0} tok per CPU second", f64::from(tokens) / wall, f64::from(tokens) / cpu);
}

#[test]
#[ignore = "a measurement, of use on a machine that does nothing else"]
fn tokens_per_second() {
    for threads in [1, 2] {
        println!("{threads} threads");
        let mut generator = generator(model_on(common::SMOLLM2, threads));
        let prompt: Vec<u32> = (0..256).map(|i| 1000 + i * 7).collect();
        let mut sequence = Sequence::new(0, 64);
        step(&mut *generator, &mut [(&mut sequence, &prompt)]);
        sequence.context = 0;
        let (wall, cpu) = (Instant::now(), cpu_time());
        step(&mut *generator, &mut [(&mut sequence, &prompt)]);
        report("prefill 256", 256, wall, cpu);

        for batch in [1u32, 4, 8, 16] {
            let mut sequences: Vec<_> = (0..batch).map(|i| Sequence::new(i * 16, 16)).collect();
            for sequence in &mut sequences {
                step(&mut *generator, &mut [(sequence, &prompt[..64])]);
            }
            let steps = 24;
            let (wall, cpu) = (Instant::now(), cpu_time());
            for i in 0..steps {
                let token = [1000 + i];
                let mut work: Vec<_> = sequences.iter_mut().map(|s| (s, &token[..])).collect();
                step(&mut *generator, &mut work);
            }
            report(&format!("decode at batch {batch}"), steps * batch, wall, cpu);
        }
    }
}

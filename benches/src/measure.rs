//! Wall time, processor time and peak memory of a step.
//!
//! Processor time and memory come from Linux's `/proc`; elsewhere they are missing, and the
//! programs say so.

use std::fmt;
use std::fs;
use std::time::Instant;

/// What a step took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Seconds on the clock.
    pub wall: f64,
    /// Seconds of all threads on a processor.
    pub cpu: Option<f64>,
    /// Most bytes resident during the step, minus those resident before it.
    pub extra: Option<u64>,
    /// Most bytes resident during the step.
    pub peak: Option<u64>,
}

/// Runs a step and measures it.
pub fn measure<T>(step: impl FnOnce() -> T) -> (T, Cost) {
    let before = reset_peak();
    let cpu = cpu_seconds();
    let start = Instant::now();
    let result = step();
    let wall = start.elapsed().as_secs_f64();
    let cpu = cpu_seconds().zip(cpu).map(|(now, then)| now - then);
    let peak = before.and_then(|_| status_bytes("VmHWM:"));
    let extra = peak
        .zip(before)
        .map(|(peak, before)| peak.saturating_sub(before));
    let cost = Cost {
        wall,
        cpu,
        extra,
        peak,
    };
    (result, cost)
}

/// Processor seconds of all threads of this process that still run.
pub fn cpu_seconds() -> Option<f64> {
    let mut nanos = 0_u64;
    for task in fs::read_dir("/proc/self/task").ok()? {
        let path = task.ok()?.path().join("schedstat");
        let text = fs::read_to_string(path).ok()?;
        nanos += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(nanos as f64 * 1e-9)
}

/// Forgets the peak so far; the bytes resident now, or `None` where the system cannot do that.
fn reset_peak() -> Option<u64> {
    fs::write("/proc/self/clear_refs", "5").ok()?;
    status_bytes("VmRSS:")
}

/// Page faults of this process so far that no disk was needed for.
pub fn page_faults() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // Fields count from behind the program's name, which may hold spaces: minflt is the eighth.
    let fields = text.rsplit_once(')')?.1;
    fields.split_whitespace().nth(7)?.parse().ok()
}

fn status_bytes(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The value of `--name` on the command line, or a default.
///
/// # Errors
/// A message for a value that cannot be read.
pub fn argument<T: std::str::FromStr>(name: &str, default: T) -> Result<T, String> {
    let flag = format!("--{name}");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == flag {
            let value = arguments.next().unwrap_or_default();
            // As it is (a path may hold an underscore), else as a number with grouped digits.
            let readable = value.parse().or_else(|_| value.replace('_', "").parse());
            return readable.map_err(|_| format!("{flag}: cannot read {value:?}"));
        }
    }
    Ok(default)
}

/// A message for the first flag on the command line that is not one of `names`.
///
/// # Errors
/// That message.
pub fn refuse_unknown_arguments(names: &[&str]) -> Result<(), String> {
    let flags = std::env::args().filter(|argument| argument.starts_with("--"));
    for flag in flags {
        if !names.contains(&&flag[2..]) {
            return Err(format!("{flag}: expected one of --{}", names.join(", --")));
        }
    }
    Ok(())
}

/// Name of the processor, number of cores, memory, as one line.
pub fn machine() -> String {
    let field = |file: &str, name: &str| -> Option<String> {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.trim_end_matches("kB").trim().parse::<f64>().ok())
        .map_or("unknown memory".into(), |kilobytes| {
            format!("{:.0} GiB", kilobytes / (1 << 20) as f64)
        });
    let os = std::env::consts::OS;
    format!("{cpu}, {cores} cores, {memory}, {os}")
}

/// Bytes as GiB or MiB, or that they were not measured.
pub fn bytes(bytes: Option<u64>) -> String {
    match bytes {
        None => "not measured".into(),
        Some(bytes) if bytes >= 1 << 30 => format!("{:.2} GiB", bytes as f64 / (1 << 30) as f64),
        Some(bytes) => format!("{:.0} MiB", bytes as f64 / (1 << 20) as f64),
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = self
            .cpu
            .map_or("not measured".into(), |cpu| format!("{cpu:.3}"));
        write!(
            f,
            "{:>8.3} | {cpu:>8} | {:>10} | {:>10}",
            self.wall,
            bytes(self.extra),
            bytes(self.peak)
        )
    }
}

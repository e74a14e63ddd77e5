//! `tandem lab`: every architecture under the same faults, measured side by side.
//!
//! Each run is a pair of real processes of this program on loopback, with real data directories, under a load
//! that writes down what it was told; see [`cell`]. Nothing needs root or another program, and nothing
//! outlives the lab.

mod advice;
mod architecture;
mod audit;
mod cell;
mod fault;
mod line;
mod load;
mod pair;
mod place;
mod report;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tokio::runtime::{Builder, Handle};

use crate::cli::{LabFault, LabMediator, LabOptions};
use crate::lab::architecture::{chosen, chosen_faults, word};
use crate::lab::cell::{Cell, Measured};
use crate::lab::place::{Net, Place};
use crate::out;

/// What was run, and what came of it.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) runs: Vec<Measured>,
    pub(crate) faults: Vec<LabFault>,
    pub(crate) lasts: Duration,
    pub(crate) at_once: u16,
    pub(crate) mediators: Vec<LabMediator>,
    /// Of the last minute, before and after.
    pub(crate) load_average: Option<[String; 2]>,
}

impl Ran {
    /// Every promise was kept.
    pub(crate) fn passed(&self) -> bool {
        self.runs.iter().all(|run| run.broken.is_empty())
    }
}

pub(crate) fn run(options: &LabOptions) -> anyhow::Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("watch for signals")?;
    }
    let lasts = Duration::from_secs(options.seconds_per_fault);
    let faults = chosen_faults(&options.faults);
    let cells = cells(options, &faults, lasts)?;
    let folder = Folder::new(options)?;
    let (begun, before) = (Instant::now(), load_average());
    let runs = all(&cells, options, &folder, &stop)?;
    let mediators = options.mediator.clone();
    let load_average = before.zip(load_average()).map(|(before, after)| [before, after]);
    let ran = Ran { runs, faults, lasts, at_once: options.at_once, mediators, load_average };
    if options.json {
        out::line(report::json(&ran, begun.elapsed())?)?;
    } else {
        out::text(report::text(&ran, begun.elapsed()))?;
    }
    if options.keep {
        eprintln!("tandem: everything is left in {}", folder.path.display());
    }
    if !ran.passed() {
        eprintln!("tandem: a promise was broken; see above, and the directories named there");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// As the system tells it, of the last minute.
fn load_average() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next().map(str::to_owned)
}

/// What is to be run, fault by fault.
fn cells(options: &LabOptions, faults: &[LabFault], lasts: Duration) -> anyhow::Result<Vec<Cell>> {
    let rows = chosen(&options.only, &options.mediator)?;
    let cells: Vec<Cell> = faults
        .iter()
        .flat_map(|&fault| {
            rows.iter().filter(move |row| row.can_meet(fault)).map(move |row| Cell {
                row,
                fault,
                lasts,
            })
        })
        .collect();
    if cells.is_empty() {
        bail!(
            "nothing to run: none of these architectures can meet any of these faults (a planned switch needs one \
             primary, the death of the mediator a mediator)"
        );
    }
    Ok(cells)
}

/// Runs all of them, some at a time; the results are in the order of the cells.
fn all(
    cells: &[Cell],
    options: &LabOptions,
    folder: &Folder,
    stop: &AtomicBool,
) -> anyhow::Result<Vec<Measured>> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("start the runtime of the relays")?;
    let net = Net::take()?;
    let lab = Lab {
        net,
        folder: &folder.path,
        options,
        runtime: runtime.handle(),
        stop,
        waiting: Mutex::new(cells.iter().copied().enumerate().collect()),
        done: AtomicUsize::new(0),
        count: cells.len(),
        results: Mutex::new(Vec::new()),
    };
    thread::scope(|scope| {
        for _ in 0..options.at_once {
            // Its children end with this thread at the latest.
            scope.spawn(|| lab.work());
        }
    });
    let mut results = lab.results.into_inner().unwrap_or_else(PoisonError::into_inner);
    if stop.load(Ordering::Relaxed) {
        bail!("stopped before the end; no process is left");
    }
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// What the threads share.
struct Lab<'a> {
    net: Net,
    folder: &'a Path,
    options: &'a LabOptions,
    runtime: &'a Handle,
    stop: &'a AtomicBool,
    waiting: Mutex<VecDeque<(usize, Cell)>>,
    done: AtomicUsize,
    count: usize,
    results: Mutex<Vec<(usize, anyhow::Result<Measured>)>>,
}

impl Lab<'_> {
    /// Runs cells until none is left.
    fn work(&self) {
        loop {
            let next = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((number, cell)) = next else { return };
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let result = self.one(number, cell);
            if let Ok(run) = &result
                && !self.stop.load(Ordering::Relaxed)
            {
                self.tell(cell, run);
            }
            self.results.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
        }
    }

    fn one(&self, number: usize, cell: Cell) -> anyhow::Result<Measured> {
        let name = format!("{}-{}", cell.row.word(), word(&cell.fault));
        let folder = self.folder.join(&name);
        let octet = u8::try_from(number + 1).context("too many pairs")?;
        let place = Place::new(&self.net, octet, folder.clone(), &self.options.mediator)?;
        let result = cell.run(place, self.runtime, self.stop);
        let stopped = self.stop.load(Ordering::Relaxed);
        let mut measured = result.unwrap_or_else(|error| cell.not_measured(&error));
        if self.options.keep || (!measured.broken.is_empty() && !stopped) {
            measured.directory = Some(folder);
        } else if let Err(error) = fs::remove_dir_all(&folder) {
            eprintln!("tandem: remove {}: {error}", folder.display());
        }
        Ok(measured)
    }

    fn tell(&self, cell: Cell, run: &Measured) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let said = if run.broken.is_empty() {
            format!(
                "{:.2} s without writes, {} acknowledged, {} lost",
                run.seconds_without_writes, run.writes_acknowledged, run.writes_lost
            )
        } else {
            format!("BROKEN: {}", run.broken.join("; "))
        };
        let (name, fault) = (cell.row.word(), word(&cell.fault));
        eprintln!("[{done}/{}] {name}, {fault}: {said}", self.count);
    }
}

/// Where the pairs' directories are: removed at the end if nothing in it is wanted.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn new(options: &LabOptions) -> anyhow::Result<Self> {
        let above = options.dir.clone().unwrap_or_else(std::env::temp_dir);
        let path = above.join(format!("tandem-lab-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self { path: path.canonicalize()?, keep: options.keep })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // What is left in it was left on purpose, and keeps it.
            let _removed = fs::remove_dir(&self.path);
        }
    }
}

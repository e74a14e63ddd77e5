//! The log thread, whose work takes time: begun, and ended later.
//!
//! As in the server: waiting batches are written together and synced once, a full disk keeps the batch,
//! and after a failure nothing more is done.

use std::collections::VecDeque;

use tandem_disk::Fault;
use tandem_log::{Room, WriteError};
use tandem_node::{Input, LogCommand, LogFault};
use tandem_types::{Lsn, Now};

use super::{Left, Machine};

/// What waits for the log thread, and what it does.
#[derive(Debug, Default)]
pub(super) struct LogThread {
    orders: VecDeque<LogCommand>,
    doing: Option<Doing>,
    told_full: bool,
    dead: bool,
}

#[derive(Debug)]
enum Doing {
    /// Batches are written, and not yet synced.
    Sync,
    Order(LogCommand),
}

/// What the log thread came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// Nothing to do, or it is busy, or dead.
    None,
    /// It has begun something: [`Machine::end_work`] when its time is over.
    Begun,
    /// There is no room: try again later.
    Full,
}

impl LogThread {
    pub(super) fn order(&mut self, command: LogCommand) {
        if !self.dead {
            self.orders.push_back(command);
        }
    }
}

impl Machine {
    /// The log thread takes what waits for it, if it is idle.
    pub fn begin_work(&mut self) -> Work {
        let (Some(thread), Some(writer)) = (&mut self.thread, &mut self.writer) else {
            return Work::None;
        };
        if thread.doing.is_some() || thread.dead {
            return Work::None;
        }
        let mut written = false;
        while let Some(LogCommand::Write(_)) = thread.orders.front() {
            let Some(LogCommand::Write(mut batch)) = thread.orders.pop_front() else { break };
            match writer.write(&mut batch) {
                Ok(()) => written = true,
                Err(WriteError::Full) => {
                    thread.orders.push_front(LogCommand::Write(batch));
                    if written {
                        break;
                    }
                    self.tell_full();
                    return Work::Full;
                }
                Err(error) => {
                    self.fail(error.to_string());
                    return Work::Begun;
                }
            }
        }
        thread.doing =
            if written { Some(Doing::Sync) } else { thread.orders.pop_front().map(Doing::Order) };
        match thread.doing {
            Some(_) => Work::Begun,
            None if thread.told_full => Work::Full,
            None => Work::None,
        }
    }

    /// What was begun is done; `broken`: its sync fails, and what it should have written is lost.
    pub fn end_work(&mut self, now: Now, broken: bool) -> Left {
        if broken {
            self.disk.plan(self.disk.operations(), Fault::LostSync);
        }
        self.end_one();
        self.settle(now)
    }

    /// Room may have come back.
    pub fn look_for_room(&mut self, now: Now) -> Left {
        self.prepare();
        self.settle(now)
    }

    fn settle(&mut self, now: Now) -> Left {
        let mut left = Left::default();
        self.answer_all(now, &mut left);
        self.end_turn(now, &mut left);
        left
    }

    fn end_one(&mut self) {
        let Some(thread) = self.thread.as_mut() else { return };
        let room = !thread.told_full;
        let Some(doing) = thread.doing.take() else { return };
        let Some(writer) = &mut self.writer else { return };
        let done = match doing {
            Doing::Sync => writer.sync().map_err(|error| error.to_string()).map(|durable_end| {
                Some(Input::LogProgress { written_end: durable_end, durable_end, room })
            }),
            Doing::Order(command) => self.do_log(command),
        };
        match done {
            Ok(input) => {
                self.answers.extend(input);
                self.prepare();
            }
            Err(message) => self.fail(message),
        }
    }

    /// A spare segment is made while there is time.
    fn prepare(&mut self) {
        let (Some(thread), Some(writer)) = (&mut self.thread, &mut self.writer) else { return };
        match writer.prepare() {
            Ok(Room::Low) => self.tell_full(),
            Ok(Room::Ample) if thread.told_full && thread.orders.is_empty() => {
                thread.told_full = false;
                let durable_end: Lsn = writer.durable_end();
                let written_end = durable_end;
                let room = true;
                self.answers.push_back(Input::LogProgress { written_end, durable_end, room });
            }
            Ok(Room::Ample) => {}
            Err(error) => self.fail(error.to_string()),
        }
    }

    fn tell_full(&mut self) {
        if let Some(thread) = &mut self.thread {
            thread.told_full = true;
        }
        let message = "no space for the next log segment".to_owned();
        self.answers.push_back(Input::LogFault(LogFault::Full { message }));
    }

    fn fail(&mut self, message: String) {
        if let Some(thread) = &mut self.thread {
            *thread = LogThread { dead: true, ..LogThread::default() };
        }
        self.answers.push_back(Input::LogFault(LogFault::Failed { message }));
    }

    /// An orderly end waits for all that was ordered.
    pub(super) fn finish_work(&mut self) {
        self.work_off();
        self.answers.clear();
    }

    /// Does everything that was ordered.
    pub(super) fn work_off(&mut self) {
        loop {
            self.end_one();
            if self.begin_work() != Work::Begun {
                break;
            }
        }
    }
}

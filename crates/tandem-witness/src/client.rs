//! A node's way to the witness: one connection at a time, opened again without being asked.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tandem_switch::{MediatorEvent, MediatorRequest, MediatorView, Outcome};
use tandem_types::{Monotonic, NodeId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;

use crate::Places;
use crate::frame::{self, Caller, FrameWriter, Keys, Secret};
use crate::wire::{self, Answer, Request};

/// Between two tries; a witness that is back is found soon.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_millis(500);
/// On top of a session, which the witness may wait before it says who is absent.
const ANSWER_TIME_MORE: Duration = Duration::from_millis(500);

/// What a node knows of its witness.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// `host:port` each; the first that answers is used.
    pub endpoints: Vec<String>,
    /// The pair's name.
    pub pair: String,
    /// This node.
    pub node: NodeId,
    /// How long a presence lasts.
    pub session: Duration,
    /// What the witness must know.
    pub secret: Secret,
    /// Encrypts the connection.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The node's own clock.
    pub now: fn() -> Monotonic,
    /// Where clients reach the pair: the witness tells those who ask it.
    pub places: Places,
    /// Learns where the witness itself answers Sentinel clients: host and port.
    pub sentinel: watch::Sender<Option<(String, u16)>>,
}

/// A running client.
#[derive(Debug)]
pub struct Client {
    requests: mpsc::UnboundedSender<MediatorRequest>,
}

type Tell = Box<dyn FnMut(MediatorEvent) + Send>;

impl Client {
    /// Starts it on `runtime`. It ends, after all that was asked is sent, when the client is dropped.
    pub fn start(
        runtime: &Handle,
        settings: ClientSettings,
        tell: impl FnMut(MediatorEvent) + Send + 'static,
    ) -> (Self, JoinHandle<()>) {
        let (requests, asked) = mpsc::unbounded_channel();
        let task =
            Task { settings, asked, tell: Box::new(tell), numbers: 0, open: BTreeMap::new() };
        (Self { requests }, runtime.spawn(task.run()))
    }

    /// Asks; never blocks.
    pub fn ask(&self, request: MediatorRequest) {
        // The task ends only after this.
        let _sent = self.requests.send(request);
    }
}

struct Task {
    settings: ClientSettings,
    asked: mpsc::UnboundedReceiver<MediatorRequest>,
    tell: Tell,
    /// Requests sent so far: their ids.
    numbers: u64,
    /// Requests without an answer, oldest first.
    open: BTreeMap<u64, Open>,
}

/// A request that waits for its answer.
struct Open {
    sent: Monotonic,
    due: Instant,
    /// The switch's number of a change.
    change: Option<u64>,
}

/// Why a conversation ended.
enum End {
    /// Nobody asks any more.
    Done,
    Broken(io::Error),
}

impl Task {
    async fn run(mut self) {
        let mut retry = RETRY_FIRST;
        let settings = self.settings.clone();
        for endpoint in settings.endpoints.iter().cycle() {
            let error =
                match timeout(settings.session * 2, Self::connect(&settings, endpoint)).await {
                    Ok(Ok(stream)) => match self.talk(endpoint, stream).await {
                        End::Done => return,
                        End::Broken(error) => {
                            retry = RETRY_FIRST;
                            error
                        }
                    },
                    Ok(Err(error)) => error,
                    Err(_) => io::ErrorKind::TimedOut.into(),
                };
            self.lost(&format!("{endpoint}: {error}"));
            if self.rest(retry, &error.to_string()).await {
                return;
            }
            retry = (retry * 2).min(RETRY_LONGEST);
        }
    }

    async fn connect(settings: &ClientSettings, endpoint: &str) -> io::Result<Stream> {
        let stream = TcpStream::connect(endpoint).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &settings.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(host_of(endpoint).to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
    }

    async fn talk(&mut self, endpoint: &str, mut stream: Stream) -> End {
        let caller = Caller {
            pair: self.settings.pair.clone(),
            node: self.settings.node,
            session: self.settings.session,
        };
        let greeting = frame::greet(&mut stream, &caller, &self.settings.secret);
        let keys = match timeout(self.settings.session * 2, greeting).await {
            Ok(Ok(keys)) => keys,
            Ok(Err(error)) => return End::Broken(error),
            Err(_) => return End::Broken(io::ErrorKind::TimedOut.into()),
        };
        self.forget_asked("the witness was not reached when it was asked for");
        (self.tell)(MediatorEvent::Up { endpoint: endpoint.to_owned() });
        let (read, write) = tokio::io::split(stream);
        let (mut reader, mut writer) = Keys::node(&keys, read, write);
        if let Err(error) = self.introduce(&mut writer).await {
            return End::Broken(error);
        }
        let (answers, mut answered) = mpsc::unbounded_channel();
        let reading = tokio::spawn(async move {
            loop {
                let answer = reader.read().await;
                let over = answer.is_err();
                if answers.send(answer).is_err() || over {
                    return;
                }
            }
        });
        let end = loop {
            let due = self.open.values().next().map(|open| open.due);
            let late = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let step = tokio::select! {
                request = self.asked.recv() => match request {
                    None => break End::Done,
                    Some(request) => self.send(request, &mut writer).await,
                },
                answer = answered.recv() => match answer {
                    Some(Ok(bytes)) => self.hear(endpoint, &bytes),
                    Some(Err(error)) => Err(error),
                    None => Err(io::ErrorKind::UnexpectedEof.into()),
                },
                () = late => Err(io::ErrorKind::TimedOut.into()),
            };
            if let Err(error) = step {
                break End::Broken(error);
            }
        };
        reading.abort();
        end
    }

    async fn send<W: AsyncWrite + Unpin>(
        &mut self,
        request: MediatorRequest,
        writer: &mut FrameWriter<W>,
    ) -> io::Result<()> {
        let (request, change) = match request {
            MediatorRequest::Vouch(presence) => (Request::Vouch(presence), None),
            MediatorRequest::Leave => (Request::Leave, None),
            MediatorRequest::Read => (Request::Read, None),
            MediatorRequest::Change { number, change } => (Request::Change(change), Some(number)),
        };
        self.numbers += 1;
        if request != Request::Leave {
            let due = Instant::now() + self.settings.session + ANSWER_TIME_MORE;
            self.open.insert(self.numbers, Open { sent: (self.settings.now)(), due, change });
        }
        let bytes = wire::encode_request(self.numbers, &request);
        // A peer that does not read must not stop the whole conversation.
        timeout(self.settings.session, writer.write(&bytes)).await?
    }

    /// Says where clients reach the pair; what comes of it is not waited for.
    async fn introduce<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut FrameWriter<W>,
    ) -> io::Result<()> {
        self.numbers += 1;
        let places = Request::Tell(self.settings.places.clone());
        let bytes = wire::encode_request(self.numbers, &places);
        timeout(self.settings.session, writer.write(&bytes)).await?
    }

    fn hear(&mut self, endpoint: &str, bytes: &[u8]) -> io::Result<()> {
        let (id, answer) = wire::decode_answer(bytes).map_err(io::Error::other)?;
        if let Answer::Told { sentinel_port } = answer {
            let place = sentinel_port.map(|port| (host_of(endpoint).to_owned(), port));
            self.settings.sentinel.send_replace(place);
            return Ok(());
        }
        let open = self.open.remove(&id);
        let sent = open.as_ref().map(|open| open.sent);
        let aged = |view: MediatorView| MediatorView { asked: sent, ..view };
        let event = match (answer, open) {
            (Answer::Renewed, Some(open)) => MediatorEvent::Renewed { sent: open.sent },
            (Answer::View(view), _) => MediatorEvent::View(aged(view)),
            (Answer::Won(revision), Some(Open { change: Some(number), .. })) => {
                MediatorEvent::Outcome { number, outcome: Outcome::Won { revision } }
            }
            (Answer::Lost(view), Some(Open { change: Some(number), .. })) => {
                MediatorEvent::Outcome { number, outcome: Outcome::Lost(aged(view)) }
            }
            (Answer::Refused { reason }, Some(Open { change: Some(number), .. })) => {
                MediatorEvent::Outcome { number, outcome: Outcome::Refused { reason } }
            }
            (
                Answer::Renewed
                | Answer::Won(_)
                | Answer::Lost(_)
                | Answer::Refused { .. }
                | Answer::Told { .. },
                _,
            ) => return Err(io::Error::other("an answer that nobody asked for")),
        };
        (self.tell)(event);
        Ok(())
    }

    /// The conversation is over: what was asked may have been done or not.
    fn lost(&mut self, why: &str) {
        (self.tell)(MediatorEvent::Down { reason: why.to_owned() });
        for open in std::mem::take(&mut self.open).into_values() {
            if let Some(number) = open.change {
                self.unknown(number, why);
            }
        }
    }

    fn unknown(&mut self, number: u64, why: &str) {
        let outcome = Outcome::Unknown { reason: why.to_owned() };
        (self.tell)(MediatorEvent::Outcome { number, outcome });
    }

    /// What was asked before the witness was reached was asked of nobody: an old sign of life is none, and
    /// the switch asks anew.
    fn forget_asked(&mut self, why: &str) {
        while let Ok(request) = self.asked.try_recv() {
            self.refuse(&request, why);
        }
    }

    /// A request that goes nowhere.
    fn refuse(&mut self, request: &MediatorRequest, why: &str) {
        if let MediatorRequest::Change { number, .. } = request {
            self.unknown(*number, why);
        }
    }

    /// Waits before the next try; `true`: nobody asks any more. What is asked meanwhile goes nowhere.
    async fn rest(&mut self, time: Duration, why: &str) -> bool {
        let until = Instant::now() + time;
        loop {
            tokio::select! {
                request = self.asked.recv() => match request {
                    None => return true,
                    Some(request) => self.refuse(&request, why),
                },
                () = sleep_until(until) => return false,
            }
        }
    }
}

/// Of `host:port`; an IPv6 address without its brackets.
fn host_of(endpoint: &str) -> &str {
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

/// Plain or encrypted.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}
type Stream = Box<dyn Duplex>;

//! A web server for two or three short answers, and nothing else.
//!
//! One thread serves a bounded number of connections, each for a bounded time, and reads of a request no more than
//! its first line and where its head ends. Whoever is slow is dropped for whoever comes, the oldest first, so that
//! nobody can keep a probe waiting by holding connections open. Each answer closes its connection.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

/// How many connections are open at a time.
const CONNECTIONS: usize = 16;
/// How long one may take, from being accepted to the last byte of the answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// The longest head of a request.
const HEAD: usize = 8 << 10;
/// Enough for what the thread does; what is not touched takes no memory.
const STACK: usize = 256 << 10;

/// What is answered to a request for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status code and phrase.
    pub(crate) status: &'static str,
    /// The media type of the body.
    pub(crate) media_type: &'static str,
    /// The body.
    pub(crate) body: String,
}

impl Answer {
    /// An answer in plain words.
    pub(crate) fn text(status: &'static str, body: &str) -> Self {
        Self {
            status,
            media_type: "text/plain; charset=utf-8",
            body: format!("{body}\n"),
        }
    }
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    /// The other end of it ends with this one, which the thread sees.
    _life: OwnedFd,
}

/// Serves GET and HEAD of the paths that `answer` knows.
pub(crate) fn serve(
    listener: TcpListener,
    answer: impl Fn(&str) -> Option<Answer> + Send + 'static,
) -> io::Result<Server> {
    listener.set_nonblocking(true)?;
    let (end, life) = pipe_with(PipeFlags::CLOEXEC)?;
    thread::Builder::new()
        .name("metrics".into())
        .stack_size(STACK)
        .spawn(move || run(&listener, &end, &answer))?;
    Ok(Server { _life: life })
}

fn run(listener: &TcpListener, end: &OwnedFd, answer: &impl Fn(&str) -> Option<Answer>) {
    // The oldest first.
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        let left = connections
            .first()
            .map(|oldest| oldest.deadline.saturating_duration_since(Instant::now()));
        let mut fds = vec![
            PollFd::new(end, PollFlags::IN),
            PollFd::new(listener, PollFlags::IN),
        ];
        fds.extend(
            connections
                .iter()
                .map(|each| PollFd::new(&each.stream, each.waits_for())),
        );
        // Rounded up by as much as makes sure that the deadline has passed then.
        let timeout = left.and_then(|left| Timespec::try_from(left + Duration::from_millis(1)).ok());
        let failed = poll(&mut fds, timeout.as_ref()).is_err();
        if !fds[0].revents().is_empty() {
            return;
        }
        let mut ready = fds[2..].iter().map(|fd| !fd.revents().is_empty());
        let accepting = !fds[1].revents().is_empty();
        let ready: Vec<bool> = ready.by_ref().collect();
        if failed {
            // A signal, or no memory: neither is a reason to spin.
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        let now = Instant::now();
        let mut ready = ready.into_iter();
        connections.retain_mut(|each| {
            let go_on = !ready.next().unwrap_or(false) || each.go_on(answer);
            go_on && now < each.deadline
        });
        if accepting {
            accept(listener, &mut connections);
        }
    }
}

fn accept(listener: &TcpListener, connections: &mut Vec<Connection>) {
    match listener.accept() {
        Ok((stream, _)) => {
            if stream.set_nonblocking(true).is_err() {
                return;
            }
            if connections.len() >= CONNECTIONS {
                connections.remove(0);
            }
            connections.push(Connection::new(stream, Instant::now() + DEADLINE));
        }
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
            // No descriptor is free: that does not pass sooner by asking again and again.
            _ => thread::sleep(Duration::from_millis(100)),
        },
    }
}

/// One request and its answer.
struct Connection {
    stream: TcpStream,
    deadline: Instant,
    state: State,
}

enum State {
    Reading(Vec<u8>),
    /// The answer, and how much of it is written.
    Writing(Vec<u8>, usize),
}

impl Connection {
    fn new(stream: TcpStream, deadline: Instant) -> Self {
        Self {
            stream,
            deadline,
            state: State::Reading(Vec::new()),
        }
    }

    fn waits_for(&self) -> PollFlags {
        match self.state {
            State::Reading(_) => PollFlags::IN,
            State::Writing(..) => PollFlags::OUT,
        }
    }

    /// Does what can be done without waiting; false when the connection is over.
    fn go_on(&mut self, answer: &impl Fn(&str) -> Option<Answer>) -> bool {
        if let State::Reading(head) = &mut self.state {
            let mut buffer = [0; 2048];
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(length) => head.extend_from_slice(&buffer[..length]),
                Err(error) => return may_go_on(&error),
            }
            let Some(answer) = respond(head, answer) else {
                return true;
            };
            self.state = State::Writing(answer, 0);
        }
        if let State::Writing(answer, written) = &mut self.state {
            match self.stream.write(&answer[*written..]) {
                Ok(length) => *written += length,
                Err(error) => return may_go_on(&error),
            }
            if *written < answer.len() {
                return true;
            }
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        false
    }
}

fn may_go_on(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// The whole answer to a request, as soon as enough of it is there.
fn respond(head: &[u8], answer: &impl Fn(&str) -> Option<Answer>) -> Option<Vec<u8>> {
    let ends = |end: &[u8]| head.windows(end.len()).any(|part| part == end);
    if !ends(b"\r\n\r\n") && !ends(b"\n\n") {
        return (head.len() > HEAD).then(|| {
            let long = Answer::text("431 Request Header Fields Too Large", "the request is too long");
            write_answer(&long, true)
        });
    }
    let (answer, body) = match parse(head) {
        Ok((method, path)) => {
            let not_found = || Answer::text("404 Not Found", "there are /metrics, /healthz and /readyz");
            (answer(path).unwrap_or_else(not_found), method == Method::Get)
        }
        Err(answer) => (answer, true),
    };
    Some(write_answer(&answer, body))
}

#[derive(Debug, PartialEq, Eq)]
enum Method {
    Get,
    Head,
}

/// The method and the path of a request, a query left out.
fn parse(head: &[u8]) -> Result<(Method, &str), Answer> {
    let bad = || Answer::text("400 Bad Request", "this is no HTTP/1 request");
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| bad())?;
    let mut words = line.strip_suffix('\r').unwrap_or(line).split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad());
    };
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") || !target.starts_with('/') {
        return Err(bad());
    }
    let path = target.split('?').next().unwrap_or(target);
    match method {
        "GET" => Ok((Method::Get, path)),
        "HEAD" => Ok((Method::Head, path)),
        _ => Err(Answer::text(
            "405 Method Not Allowed",
            "there is only something to read here",
        )),
    }
}

fn write_answer(answer: &Answer, with_body: bool) -> Vec<u8> {
    let Answer {
        status,
        media_type,
        body,
    } = answer;
    let allow = if status.starts_with("405") {
        "Allow: GET, HEAD\r\n"
    } else {
        ""
    };
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         {allow}Connection: close\r\n\r\n",
        body.len()
    );
    if with_body {
        text.push_str(body);
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn mk_server() -> (Server, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = serve(listener, |path| {
            (path == "/metrics").then(|| Answer::text("200 OK", "some"))
        });
        (server.unwrap(), address)
    }

    fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE * 2)).unwrap();
        // Who is refused early may find the connection closed while it still writes.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn it_answers_what_it_knows_and_refuses_the_rest() {
        let (_server, address) = mk_server();
        let status = |request: &[u8]| {
            ask(address, request)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        assert!(ask(address, b"GET /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\nsome\n"));
        assert!(ask(address, b"HEAD /metrics HTTP/1.0\n\n").ends_with("\r\n\r\n"));
        assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
        assert_eq!(
            status(b"POST /metrics HTTP/1.1\r\n\r\n"),
            "HTTP/1.1 405 Method Not Allowed"
        );
        for bad in [
            &b"\r\n\r\n"[..],
            b"GET\r\n\r\n",
            b"GET metrics HTTP/1.1\r\n\r\n",
            b"\xff\xfe /x HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(status(bad), "HTTP/1.1 400 Bad Request", "{bad:?}");
        }
        let endless = vec![b'x'; HEAD + 4096];
        assert_eq!(status(&endless), "HTTP/1.1 431 Request Header Fields Too Large");
    }

    #[test]
    fn those_who_hold_connections_open_keep_nobody_waiting() {
        let (_server, address) = mk_server();
        let idle: Vec<TcpStream> = (0..2 * CONNECTIONS)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        assert!(ask(address, b"GET /metrics HTTP/1.1\r\n\r\n").ends_with("some\n"));
        drop(idle);
    }

    #[test]
    fn it_ends_with_its_handle() {
        let (server, address) = mk_server();
        drop(server);
        let deadline = Instant::now() + DEADLINE;
        while TcpStream::connect(address).is_ok() {
            assert!(Instant::now() < deadline, "it still listens");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

//! A program that prints credentials: the `credential_process` of a profile. Its words and all that it prints may be secret, so
//! that errors have its name alone.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::given::refused;
use crate::sys;

/// A program that takes longer is ended: perhaps it asks a person, whom it cannot reach.
pub const LONGEST: Duration = Duration::from_secs(60);

/// Between two looks at whether a program has ended that has closed its output.
const LOOK: Duration = Duration::from_millis(5);

/// More is no credentials.
const MOST: u64 = 1 << 20;

type Result<T> = object_store::Result<T>;

/// A command, taken apart.
pub struct Program {
    name: Option<String>,
    first: String,
    rest: Vec<String>,
}

impl Program {
    /// # Errors
    /// The command has no words, or a quote without an end.
    pub fn parse(command: &str) -> Result<Self> {
        let problem = |text: &str| refused(format!("the credential_process of the profile {text}"));
        let words = words(command, sys::IS_POSIX);
        let mut words = words
            .ok_or_else(|| problem("has a quote without its end: close it in the configuration of AWS"))?
            .into_iter();
        let first = words.next().ok_or_else(|| problem("is empty: name a program with its full path"))?;
        Ok(Self { name: name(&first), first, rest: words.collect() })
    }

    /// What it prints.
    ///
    /// # Errors
    /// It cannot be started, has failed, or has not ended after a minute; then it is ended, as it is when this is dropped.
    pub async fn output(&self) -> Result<Vec<u8>> {
        let mut command = Command::new(&self.first);
        command.args(&self.rest).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A group of its own, so that what it has started ends with it.
        sys::in_group_of_its_own(&mut command);
        timeout(LONGEST, self.run(command)).await.unwrap_or_else(|_| {
            let text = "has not ended after a minute, and was killed: see whether it waits for somebody";
            Err(self.problem(text))
        })
    }

    async fn run(&self, mut command: Command) -> Result<Vec<u8>> {
        let interrupted = |_| self.problem("was interrupted: try again");
        // Starting and reading can take as long as the program likes.
        let started = spawn_blocking(move || Running::start(&mut command)).await.map_err(interrupted)?;
        let (mut running, output) =
            started.map_err(|error| self.problem(&format!("cannot be started: {error}")))?;
        let read = move || {
            let mut bytes = Vec::new();
            output.take(MOST).read_to_end(&mut bytes).map(|_| bytes)
        };
        let bytes = spawn_blocking(read).await.map_err(interrupted)?;
        let unreadable = |error: std::io::Error| self.problem(&format!("cannot be read: {error}"));
        let status = loop {
            match running.status().map_err(unreadable)? {
                Some(status) => break status,
                None => sleep(LOOK).await,
            }
        };
        if !status.success() {
            return Err(self.problem(&format!("has failed with {status}: run it by hand to see why")));
        }
        bytes.map_err(unreadable)
    }

    /// An error that names the program.
    pub fn problem(&self, text: &str) -> object_store::Error {
        let name = self.name.as_ref().map_or(String::new(), |name| format!(" ({name})"));
        refused(format!("the credential_process of the profile{name} {text}"))
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Program").field(&self.name).finish()
    }
}

/// A program that is ended when nobody waits for it any more.
struct Running(Option<Child>);

impl Running {
    fn start(command: &mut Command) -> std::io::Result<(Self, ChildStdout)> {
        let mut child = command.spawn()?;
        let output = child.stdout.take();
        let running = Self(Some(child));
        Ok((running, output.ok_or(std::io::ErrorKind::BrokenPipe)?))
    }

    fn status(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.0.as_mut().ok_or(std::io::ErrorKind::NotFound)?.try_wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else { return };
        // The process id of one whose end is known may be another's by now.
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        sys::kill_group(&child);
        let _ = child.kill();
        // Not on this thread: one in the middle of a request to a disk ends only after that.
        let _ = std::thread::Builder::new().spawn(move || child.wait());
    }
}

/// The file name of a program, if the first word is one: it may be a setting of the shell, with a secret.
fn name(first: &str) -> Option<String> {
    let is_name = !first.contains(|c: char| c.is_whitespace() || c == '=');
    Path::new(first).file_name().and_then(OsStr::to_str).filter(|_| is_name).map(str::to_owned)
}

/// The words of a command, up to a comment; quotes may hold together what has spaces. `None`: a quote or an escape has no end.
///
/// `posix`: there are single quotes, and a backslash takes the next character as it stands; on Windows both are parts of paths.
fn words(command: &str, posix: bool) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    let mut chars = command.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            Some(end) if c == end => quote = None,
            Some('"') if posix && c == '\\' && chars.peek().is_some_and(|next| "\"\\".contains(*next)) => {
                word.get_or_insert_default().extend(chars.next());
            }
            None if posix && c == '\\' => word.get_or_insert_default().push(chars.next()?),
            None if c == '"' || posix && c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None if c == '#' && word.is_none() => break,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_command_keep_what_is_quoted() {
        let posix = |command| words(command, true).unwrap();
        assert_eq!(posix(r#" /bin/a  "b c" d'e f' "" "#), ["/bin/a", "b c", "de f", ""]);
        assert_eq!(posix(r#"/bin/a\ b "c\"d\e" 'f\g'"#), ["/bin/a b", "c\"d\\e", "f\\g"]);
        assert_eq!(posix("/bin/a b#c '#d' # e 'f"), ["/bin/a", "b#c", "#d"]);
        assert_eq!(words(r#""C:\a b\c.exe" O'Brien"#, false).unwrap(), [r"C:\a b\c.exe", "O'Brien"]);
    }

    #[test]
    fn a_command_that_is_not_complete_is_refused_without_its_words() {
        for command in ["\"/bin/a --token SECRET", "/bin/a --token 'SECRET", "", " # SECRET"] {
            let error = Program::parse(command).unwrap_err().to_string();
            assert!(error.contains("credential_process") && !error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn a_message_has_the_file_name_of_the_program_at_most() {
        let named = |command| Program::parse(command).unwrap().problem("x").to_string();
        assert!(named("/bin/SECRET/a --token SECRET").ends_with("profile (a) x"));
        for command in ["TOKEN=SECRET /bin/a", "'/bin/a SECRET' b"] {
            assert!(named(command).ends_with("profile x"), "{command}");
        }
    }
}

/// Programs that tests can watch.
#[cfg(target_os = "linux")] // a test
#[cfg(test)]
pub mod watched {
    use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _, pipe};
    use std::os::fd::AsRawFd as _;

    use super::*;

    /// What its processes say; that ends when the last one does.
    pub struct Watched {
        said: BufReader<PipeReader>,
        saying: PipeWriter,
        told: PipeReader,
        telling: PipeWriter,
    }

    /// A script of the shell, which has `$1` to say something and `$2` to be told.
    pub fn watched(script: &str) -> (Program, Watched) {
        let ((said, saying), (told, telling)) = (pipe().unwrap(), pipe().unwrap());
        let path = |fd| format!("/proc/{}/fd/{fd}", std::process::id());
        let (to, from) = (path(saying.as_raw_fd()), path(told.as_raw_fd()));
        let program = Program::parse(&format!("sh -c 'exec 3>$1; {script}' sh {to} {from}")).unwrap();
        (program, Watched { said: BufReader::new(said), saying, told, telling })
    }

    impl Watched {
        pub async fn next(mut self) -> (String, Self) {
            let read = move || {
                let mut line = String::new();
                self.said.read_line(&mut line).unwrap();
                (line, self)
            };
            spawn_blocking(read).await.unwrap()
        }

        pub fn tell(&mut self, line: &str) {
            writeln!(self.telling, "{line}").unwrap();
        }

        pub async fn rest(self) -> String {
            let Self { mut said, saying, told, telling } = self;
            drop((saying, told, telling));
            let read = move || {
                let mut rest = String::new();
                said.read_to_string(&mut rest).unwrap();
                rest
            };
            spawn_blocking(read).await.unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_is_named_and_ended_after_a_minute() {
        // With a process of its own, which holds both pipes.
        let (program, watched) = watched("sleep 1000 & echo started >&3; wait");
        let output = tokio::spawn(async move { program.output().await });
        let (_, watched) = watched.next().await;
        tokio::time::advance(LONGEST).await;
        let error = output.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("(sh) has not ended after a minute"), "{error}");
        assert_eq!(watched.rest().await, "");
    }

    #[tokio::test]
    async fn one_that_nobody_waits_for_is_ended() {
        let (program, watched) = watched("sleep 1000 & echo started >&3; wait");
        let output = tokio::spawn(async move { program.output().await });
        let (_, watched) = watched.next().await;
        output.abort();
        assert_eq!(watched.rest().await, "");
    }
}

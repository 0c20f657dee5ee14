use std::time::Duration;

use connector_api::{Error, Result};

use super::answer::{self, Answer, Table};
use super::column::ResultColumn;
use super::{ANSWER_TIME, QUERY, ServerMessage, Session, command};
use crate::stream::packet::{Packet, Packets};

const PREPARE: u8 = 0x16;
const EXECUTE: u8 = 0x17;
const CLOSE: u8 = 0x19;
/// Time for a server to go on with rows that it has begun to send.
const PAUSE: Duration = Duration::from_secs(60);

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The server said so. The connection can be asked something else.
    Said(ServerMessage),
    /// The connection is of no more use.
    Broken(Error),
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<ServerMessage> for Unanswered {
    fn from(told: ServerMessage) -> Self {
        Self::Said(told)
    }
}

/// The rows of a query as they arrive, each value as the server keeps it (the binary protocol).
/// Who does not read them to their end cannot use the connection any more.
#[derive(Debug)]
pub(crate) struct Selection<'s> {
    session: &'s mut Session,
    columns: Vec<ResultColumn>,
    /// Rows of the binary protocol are packed as events of a dump are: behind a zero.
    packets: Packets,
    /// Bytes that have been handed out, or belong to a row that is still coming.
    taken: usize,
    /// Bytes that the next packet has, as far as known.
    wanted: usize,
}

/// What has come.
#[derive(Debug)]
pub(crate) enum Arrived<'r> {
    /// The values of a row, behind a bit for each that says whether it is NULL.
    Row(&'r [u8]),
    /// There are no more.
    End,
}

impl Session {
    /// The rows of a question that has few, as text.
    pub(crate) async fn rows(&mut self, sql: &str) -> Result<Table, Unanswered> {
        let answer = tokio::time::timeout(ANSWER_TIME, self.ask(sql)).await;
        Ok(answer.unwrap_or_else(|_| Err(self.unanswered(command(sql))))??)
    }

    /// The same of several questions, which are on their way together. All of them are answered,
    /// whatever is the answer to the first.
    pub(crate) async fn rows_of<const N: usize>(
        &mut self,
        questions: [&str; N],
    ) -> Result<[Answer<Table>; N]> {
        let answers = tokio::time::timeout(ANSWER_TIME, self.ask_all(&questions)).await;
        let answers = answers.unwrap_or_else(|_| Err(self.unanswered(command(questions[0]))))?;
        answers.try_into().map_err(|_| Error::bug("a question has no answer"))
    }

    async fn ask_all(&mut self, questions: &[&str]) -> Result<Vec<Answer<Table>>> {
        for sql in questions {
            self.begin()?;
            self.channel.queue(&[&[QUERY], sql.as_bytes()].concat())?;
        }
        self.channel.flush().await?;
        let mut answers = Vec::new();
        for _ in questions {
            self.channel.begin_answer();
            answers.push(answer::read(&mut self.channel).await?);
        }
        Ok(answers)
    }

    /// Asks for rows, which may be many and large.
    pub(crate) async fn select(&mut self, sql: &str) -> Result<Selection<'_>, Unanswered> {
        let began = tokio::time::timeout(ANSWER_TIME, self.begin_select(sql)).await;
        let columns = began.unwrap_or_else(|_| Err(self.unanswered("a SELECT")))??;
        let (number, _) = self.channel.arrived();
        let packets = Packets::starting_at(number);
        Ok(Selection { session: self, columns, packets, taken: 0, wanted: 0 })
    }

    async fn begin_select(&mut self, sql: &str) -> Result<Answer<Vec<ResultColumn>>> {
        self.begin()?;
        self.channel.send(&[&[PREPARE], sql.as_bytes()].concat()).await?;
        let statement = match self.prepared().await? {
            Ok(statement) => statement,
            Err(told) => return Ok(Err(told)),
        };
        self.statement = Some(statement);
        self.channel.begin();
        let mut request = vec![EXECUTE];
        request.extend(statement.to_le_bytes());
        // No cursor; once.
        request.extend([0, 1, 0, 0, 0]);
        self.channel.send(&request).await?;
        match answer::columns(&mut self.channel).await? {
            Ok(columns) if columns.is_empty() => {
                Err(self.channel.nonsense("no rows, not even none, for a SELECT"))
            }
            answer => Ok(answer),
        }
    }

    /// The number of the statement that is being prepared.
    async fn prepared(&mut self) -> Result<Answer<u32>> {
        let packet = self.channel.packet().await?;
        if let Some((0xff, body)) = packet.split_first() {
            return Ok(Err(ServerMessage::read(body)));
        }
        let strange = || self.channel.nonsense("no statement for a SELECT");
        let fixed = packet.first_chunk::<9>().ok_or_else(strange)?;
        let [0, a, b, c, d, low, high, 0, 0] = *fixed else { return Err(strange()) };
        // They come once more with the rows.
        let columns = u16::from_le_bytes([low, high]);
        if columns > 0 {
            answer::described(&mut self.channel, columns.into()).await?;
        }
        Ok(Ok(u32::from_le_bytes([a, b, c, d])))
    }

    /// Begins a new exchange. A statement that has been answered is let go of; to that the server
    /// says nothing.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.channel.begin();
        if let Some(statement) = self.statement.take() {
            let [a, b, c, d] = statement.to_le_bytes();
            self.channel.queue(&[CLOSE, a, b, c, d])?;
            self.channel.begin();
        }
        Ok(())
    }
}

impl Selection<'_> {
    pub(crate) fn columns(&self) -> &[ResultColumn] {
        &self.columns
    }

    /// The next row of those that have arrived; what was handed out before is gone.
    pub(crate) fn arrived(&mut self) -> Result<Option<Arrived<'_>>, Unanswered> {
        self.release();
        let (_, arrived) = self.session.channel.arrived();
        let (packet, taken) = self.packets.next(arrived)?;
        self.taken = taken;
        match packet {
            Packet::Event(row) => Ok(Some(Arrived::Row(row))),
            Packet::Ended => Ok(Some(Arrived::End)),
            Packet::Failed(told) => Err(told.into()),
            Packet::Incomplete(wanted) => {
                self.wanted = wanted;
                Ok(None)
            }
        }
    }

    /// Waits until more has arrived. Cancel-safe.
    pub(crate) async fn more(&mut self) -> Result<()> {
        self.release();
        let filling = tokio::time::timeout(PAUSE, self.session.channel.fill(self.wanted)).await;
        filling.unwrap_or_else(|_| {
            let (host, seconds) = (&self.session.channel.host, PAUSE.as_secs());
            let what = format!("{host} sent nothing for {seconds} s in the middle of a table");
            Err(Error::transient(what))
        })
    }

    /// What was handed out is not needed any more.
    fn release(&mut self) {
        self.session.channel.consume(std::mem::take(&mut self.taken));
    }
}

/// The end of the rows, which was handed out, is no part of the next answer.
impl Drop for Selection<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

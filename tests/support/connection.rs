use mysql_async::prelude::Queryable as _;
use tokio::sync::Mutex;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// A client of a shop's server.
pub enum Connection {
    Postgres(tokio_postgres::Client),
    Mysql(Mutex<mysql_async::Conn>),
}

impl Connection {
    pub async fn open(url: &str) -> Self {
        if url.starts_with("mysql:") {
            let url = mysql_async::Opts::from_url(url).unwrap();
            // A socket is not there for a test's own account to enter.
            let options = mysql_async::OptsBuilder::from_opts(url).prefer_socket(false);
            return Self::Mysql(Mutex::new(mysql_async::Conn::new(options).await.unwrap()));
        }
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        Self::Postgres(client)
    }

    /// Statements, one or many.
    pub async fn execute(&self, sql: &str) {
        let failed = |error: &dyn std::fmt::Debug| -> ! {
            let start: String = sql.chars().take(1000).collect();
            panic!("{start}: {error:?}")
        };
        match self {
            Self::Postgres(client) => {
                client.batch_execute(sql).await.unwrap_or_else(|error| failed(&error));
            }
            Self::Mysql(connection) => {
                let done = connection.lock().await.query_drop(sql).await;
                done.unwrap_or_else(|error| failed(&error));
            }
        }
    }

    /// The rows of a query as text, `None` for NULL.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        match self {
            Self::Postgres(client) => {
                let messages = client.simple_query(sql).await;
                let messages = messages.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                let rows = messages.iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                let text = |row: &tokio_postgres::SimpleQueryRow, n| row.get(n).map(str::to_owned);
                rows.map(|row| (0..row.len()).map(|n| text(row, n)).collect()).collect()
            }
            Self::Mysql(connection) => {
                let rows = connection.lock().await.query::<mysql_async::Row, _>(sql).await;
                let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                let texts = |row: mysql_async::Row| row.unwrap().into_iter();
                rows.into_iter().map(|row| texts(row).map(text).collect()).collect()
            }
        }
    }
}

/// A value as a plain query sends it.
fn text(value: mysql_async::Value) -> Option<String> {
    match value {
        mysql_async::Value::NULL => None,
        mysql_async::Value::Bytes(bytes) => Some(String::from_utf8(bytes).unwrap()),
        other => panic!("not text: {other:?}"),
    }
}

//! What a shop may do to its tables.

use testbed::{Mysql, MysqlVersion};

use crate::binlog::Recorded;

/// How the server logs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Rows.
    Plain,
    /// Rows, compressed.
    Packed,
    /// Statements where the server thinks that they will do.
    Mixed,
}

impl Way {
    pub fn all(version: MysqlVersion) -> Vec<Self> {
        let mut ways = vec![Self::Plain, Self::Packed];
        // MySQL 9.7 writes rows alone.
        ways.extend(version.is_mariadb().then_some(Self::Mixed));
        ways
    }

    /// Does the work, and returns what was logged of it.
    pub fn record(self, server: &Mysql) -> Vec<Recorded> {
        let is_mariadb = server.version().is_mariadb();
        let set = match (is_mariadb, self) {
            (true, Self::Plain) => "set global log_bin_compress = 0;",
            (true, Self::Packed) => {
                "set global log_bin_compress = 1; set global log_bin_compress_min_len = 10;"
            }
            (true, Self::Mixed) => "set global log_bin_compress = 0;",
            (false, Self::Packed) => "set global binlog_transaction_compression = 1;",
            (false, _) => "set global binlog_transaction_compression = 0;",
        };
        let format = if self == Self::Mixed { "MIXED" } else { "ROW" };
        let tables =
            "drop table if exists stock, ledger, lot, held, gone, moved, renamed, copied, safe;";
        server.execute(&format!("{set} set global binlog_row_metadata = FULL; {tables}")).unwrap();
        let before = Recorded::all(server).len();
        server.execute("flush binary logs").unwrap();
        let session = if is_mariadb {
            format!("set session binlog_format = {format};")
        } else {
            String::new()
        };
        for part in [BEGIN, if is_mariadb { OF_MARIADB } else { OF_MYSQL }] {
            server.execute(&format!("{session} {part}")).unwrap();
        }
        server.execute("flush binary logs").unwrap();
        server.execute(&format!("{session} {END}")).unwrap();
        let mut files = Recorded::all(server);
        files.drain(..before);
        files
    }

    /// Tables of which not everything could be read, in order.
    pub fn unreadable(self, _: MysqlVersion) -> Vec<&'static str> {
        match self {
            Self::Plain | Self::Packed => vec![],
            Self::Mixed => {
                vec!["copied", "gone", "held", "ledger", "lot", "moved", "stock"]
            }
        }
    }

    /// Tables that the log alone makes a copy of.
    pub fn readable(self, _: MysqlVersion) -> Vec<&'static str> {
        match self {
            Self::Plain | Self::Packed => vec!["stock", "ledger", "lot", "held", "copied", "safe"],
            Self::Mixed => vec!["safe"],
        }
    }

    /// Rows that were changed and could be read.
    pub fn changes(self, version: MysqlVersion) -> usize {
        let [stock, ledger, lot, gone, safe, moved, copied] = [16, 7, 1_000, 1, 2, 5, 6];
        let distributed = 2;
        match (self, version.is_mariadb()) {
            // A UUID would not come out the same as a statement, nor would tables with transactions
            // and without in one of them.
            (Self::Mixed, _) => safe + 2,
            (_, true) => stock + 2 + ledger + 2 + lot + gone + safe + moved + copied + distributed,
            (_, false) => stock + 2 + ledger + lot + gone + safe + moved + copied + distributed,
        }
    }
}

const BEGIN: &str = "
    create table stock (id int primary key, qty int not null, note text) engine = innodb;
    create table ledger (id int primary key auto_increment, qty int) engine = myisam;
    create table lot (id int primary key, code char(8) as (hex(id * 7919)) stored, at datetime(3));
    create table held (id int primary key, qty int);
    create table gone (id int primary key);
    create table safe (id varchar(36) primary key);

    insert into stock values (1, 5, 'a'), (2, 6, 'b'), (3, 7, null);
    begin;
    update stock set qty = qty + 1;
    savepoint one;
    insert into stock values (4, 4, 'undone');
    rollback to savepoint one;
    savepoint two;
    insert into stock values (5, 5, 'kept');
    release savepoint two;
    delete from stock where id = 1;
    commit;
    begin; insert into stock values (99, 1, 'undone'); rollback;
    insert into ledger (qty) values (1), (2), (3);
    update ledger set qty = qty * 10;
    delete from ledger where id = 2;

    insert into stock values (10, 1, repeat('x', 40000));
    update stock set note = concat(note, 'é') where id = 10;
    insert into lot (id, at)
        with recursive n as (select 1 as i union all select i + 1 from n where i < 500)
        select i, '2026-01-31 12:00:00' + interval i second from n;
    update lot set at = at + interval 500000 microsecond where id % 2 = 0;
    delete from lot where id > 250;

    alter table stock add extra int not null default 3 first;
    insert into stock values (6, 11, 8, 'after');
    update stock set extra = 4;
    create index by_qty on stock (qty);
    insert into gone values (1); truncate gone; drop table gone;
    insert into safe select uuid() union all select uuid();
    create table moved like stock;
    insert into moved select * from stock;
    rename table moved to renamed;
    create table copied as select id, qty from stock;
    update copied set qty = 0 where id = 2;
";

const OF_MYSQL: &str = "
    set gtid_next = 'automatic:shop';
    insert into stock values (7, 12, 1, 'tagged');
    set gtid_next = 'automatic';
    insert into stock values (7, 13, 1, 'not tagged');
";

const OF_MARIADB: &str = "
    set gtid_domain_id = 3;
    insert into stock values (7, 12, 1, 'elsewhere');
    set gtid_domain_id = 0;
    begin; insert into stock values (7, 13, 1, 'with it'); insert into ledger (qty) values (4);
    commit;
    begin; insert into safe select uuid(); insert into ledger (qty) values (5); rollback;
";

const END: &str = "
    xa start 'kept'; insert into held values (1, 1); xa end 'kept'; xa prepare 'kept';
    xa commit 'kept';
    xa start 'dropped'; insert into held values (2, 2); xa end 'dropped'; xa prepare 'dropped';
    xa rollback 'dropped';
    xa start 'at once'; insert into stock values (8, 14, 1, 'xa'); xa end 'at once';
    xa commit 'at once' one phase;
";

//! Rows that a foreign key deletes or changes: what the log of each family knows of them, and what
//! is said where it knows nothing.

use connector_api::{Capture, Connector as _, Finding, Severity};
use testbed::{MysqlOptions, all_mysql_versions};

use crate::support::{Shop, within};

const TABLES: &str = "
    create table product (id int primary key, name varchar(20));
    create table level (id int primary key, product int, qty int,
        constraint level_of_product foreign key (product) references product (id)
        on delete cascade) engine=InnoDB;
    create table lot (id int primary key, product int, qty int,
        constraint lot_of_product foreign key (product) references product (id)
        on delete set null on update cascade) engine=InnoDB;
    insert into product values (1, 'tea'), (2, 'pot'), (3, 'cup');
    insert into level values (10, 1, 5), (11, 1, 6), (20, 2, 7);
    insert into lot values (30, 2, 8), (40, 3, 9)";

fn shops(test: &'static str) -> impl Iterator<Item = Shop> {
    let options = MysqlOptions::default().setting("binlog_row_metadata", "FULL");
    let start = move |version| Shop::start_with(version, &options, test);
    all_mysql_versions().into_iter().filter_map(start).inspect(|shop| shop.sql(TABLES))
}

async fn findings(shop: &Shop, capture: &Capture) -> Vec<Finding> {
    let survey = within("a survey", shop.connector().survey(capture, None)).await.unwrap();
    survey.findings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_that_deletes_behind_the_logs_back_is_told_with_child_and_parent() {
    for shop in shops("a_foreign_key_that_deletes_behind_the_logs_back") {
        let children = findings(&shop, &shop.tables(&["level", "lot"])).await;
        if !shop.is_mariadb() {
            assert_eq!(children, []);
            continue;
        }
        let [level, lot] = &children[..] else { panic!("{children:#?}") };
        let told = "its foreign key level_of_product to shop.product is ON DELETE CASCADE: rows of \
                    shop.level that go or change with their shop.product do so without a trace in \
                    the log";
        assert_eq!((level.severity, level.check.as_str()), (Severity::Warning, "table shop.level"));
        assert_eq!(level.found, told);
        assert!(level.fix.starts_with("map shop.product too"), "{level:#?}");
        assert_eq!((lot.severity, lot.check.as_str()), (Severity::Warning, "table shop.lot"));
        assert!(lot.found.contains("is ON DELETE SET NULL ON UPDATE CASCADE: "), "{lot:#?}");
        // Who watches the parent is told no more than that.
        let all = findings(&shop, &shop.tables(&["product", "level", "lot"])).await;
        let severities: Vec<Severity> = all.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Note, Severity::Note], "{all:#?}");
        assert_eq!(findings(&shop, &shop.tables(&["product"])).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_rows_that_go_with_their_parent_a_log_has_the_parent_at_least() {
    for shop in shops("of_rows_that_go_with_their_parent") {
        let mut reader = shop.stream(&["product", "level", "lot", "stock"]).await;
        shop.sql("delete from product where id <= 2");
        shop.sql("update product set id = 4 where id = 3");
        shop.sql("insert into stock values (1, 1, 'the end')");
        let mut found = Vec::new();
        while !found.last().is_some_and(|line: &String| line.contains("the end")) {
            found.push(reader.line().await);
        }
        found.pop();
        for line in &mut found {
            // The family decides in which order a transaction logs its rows.
            let (op, rest) = line.split_once(" #").unwrap();
            *line = format!("{op} {}", rest.split_once(' ').unwrap().1);
        }
        found.sort();
        let parents = [
            "delete product [id=1 name='tea']",
            "delete product [id=2 name='pot']",
            "update product [id=3 name='cup'] id=4 name='cup'",
        ];
        let children = [
            "delete level [id=10 product=1 qty=5]",
            "delete level [id=11 product=1 qty=6]",
            "delete level [id=20 product=2 qty=7]",
            "update lot [id=30 product=2 qty=8] id=30 product=null qty=8",
            "update lot [id=40 product=3 qty=9] id=40 product=4 qty=9",
        ];
        let mut wanted = parents.to_vec();
        if !shop.is_mariadb() {
            wanted.extend(children);
        }
        wanted.sort();
        assert_eq!(found, wanted, "{}", shop.server.version());
        let left = shop.server.query("select id, product from lot order by id").unwrap();
        let cell = |text: &str| Some(text.to_owned());
        assert_eq!(left, [[cell("30"), None], [cell("40"), cell("4")]]);
        reader.close().await;
    }
}

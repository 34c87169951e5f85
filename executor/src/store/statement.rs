//! Statements of our own: text with `?` for each value, prepared once on each connection.
//!
//! Diesel's cache goes by the text when a statement has no static id, and table names differ, so
//! the text is the right key.

use std::{
    borrow::Cow,
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use diesel::{
    QueryResult, RunQueryDsl,
    backend::Backend,
    connection::Connection,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    query_dsl::methods::LoadQuery,
    serialize::ToSql,
    sql_types::{BigInt, HasSqlType, Nullable, Text},
};

use crate::config::TableName;

/// The statements' texts with the tables' names filled in, each made once.
pub(super) struct Tables {
    name: String,
    filled: Mutex<HashMap<usize, Arc<str>>>,
}

impl Tables {
    pub(super) fn new(table: &TableName) -> Self {
        Self {
            name: table.escaped(),
            filled: Mutex::new(HashMap::new()),
        }
    }

    /// `{t}` in a text that is not kept.
    pub(super) fn fill(&self, template: &str) -> String {
        template.replace("{t}", &self.name)
    }

    /// A statement of this text, in which `{t}` stands for the name of the programs' table.
    pub(super) fn statement(&self, template: &'static str) -> Statement<'_> {
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        // A static text is known by its place; two places of one text only cost a second entry.
        let text = filled
            .entry(template.as_ptr().addr())
            .or_insert_with(|| self.fill(template).into());
        Statement {
            text: Arc::clone(text),
            values: Vec::new(),
        }
    }

    /// A statement whose text is made for one use.
    pub(super) fn composed(&self, template: &str) -> Statement<'_> {
        Statement {
            text: self.fill(template).into(),
            values: Vec::new(),
        }
    }
}

/// A text and the values for its question marks.
pub(super) struct Statement<'a> {
    text: Arc<str>,
    values: Vec<Value<'a>>,
}

enum Value<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
}

impl<'a> Statement<'a> {
    pub(super) fn int(mut self, value: impl Into<Option<i64>>) -> Self {
        self.values.push(Value::Int(value.into()));
        self
    }

    pub(super) fn text(mut self, value: impl Into<Cow<'a, str>>) -> Self {
        self.values.push(Value::Text(Some(value.into())));
        self
    }

    pub(super) fn maybe_text(mut self, value: Option<impl Into<Cow<'a, str>>>) -> Self {
        self.values.push(Value::Text(value.map(Into::into)));
        self
    }

    /// Runs it; how many rows it touched.
    pub(super) fn run<C>(self, conn: &mut C) -> QueryResult<usize>
    where
        C: Connection,
        Rows<'a, ()>: RunQueryDsl<C> + QueryFragment<C::Backend> + QueryId,
    {
        Rows::<()>(self, PhantomData).execute(conn)
    }

    /// Runs it; its rows, as tuples of these SQL types.
    pub(super) fn rows<'q, ST, T, C>(self, conn: &mut C) -> QueryResult<Vec<T>>
    where
        Rows<'a, ST>: LoadQuery<'q, C, T> + RunQueryDsl<C>,
    {
        Rows::<ST>(self, PhantomData).load(conn)
    }
}

/// A statement with the types of its rows.
pub(super) struct Rows<'a, ST>(Statement<'a>, PhantomData<ST>);

impl<ST, DB> QueryFragment<DB> for Rows<'_, ST>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Text>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
    for<'v> Option<Cow<'v, str>>: ToSql<Nullable<Text>, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut values = self.0.values.iter();
        for (at, piece) in self.0.text.split('?').enumerate() {
            if at > 0 {
                match values.next() {
                    Some(Value::Int(value)) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                    Some(Value::Text(value)) => out.push_bind_param::<Nullable<Text>, _>(value)?,
                    None => {
                        return Err(diesel::result::Error::QueryBuilderError(
                            format!("a statement lacks a value: {}", self.0.text).into(),
                        ));
                    }
                }
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}

impl<ST> QueryId for Rows<'_, ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST> Query for Rows<'_, ST> {
    type SqlType = ST;
}

impl<C, ST> RunQueryDsl<C> for Rows<'_, ST> {}

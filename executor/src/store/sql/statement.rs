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
    QueryResult,
    backend::Backend,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
};

use super::dialect::Dialect;
use crate::config::TableName;

/// The names of the tables.
pub(in crate::store) struct Names {
    schema: Option<String>,
    table: String,
    dialect: &'static Dialect,
    /// Whether program-executor's workers run programs of the same table.
    interop: bool,
}

impl Names {
    /// The name of a table as it stands in a statement.
    pub(super) fn table(&self, suffix: &str) -> String {
        let name = self.dialect.quoted(&format!("{}{suffix}", self.table));
        match &self.schema {
            Some(schema) => format!("{}.{name}", self.dialect.quoted(schema)),
            None => name,
        }
    }

    /// How many steps the last one of a program adds. With program-executor's, none.
    pub(super) fn last_step(&self) -> &'static str {
        if self.interop { "0" } else { "1" }
    }

    pub(in crate::store) fn bare(&self) -> &str {
        &self.table
    }

    pub(in crate::store) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }
}

/// The statements' texts with the names filled in, each made once.
pub(in crate::store) struct Texts {
    dialect: &'static Dialect,
    names: Names,
    filled: Mutex<HashMap<(usize, usize), Arc<str>>>,
}

impl Texts {
    pub(in crate::store) fn new(
        dialect: &'static Dialect,
        schema: Option<&str>,
        table: &TableName,
    ) -> Self {
        let names = Names {
            schema: schema.map(str::to_owned),
            table: table.as_str().to_owned(),
            dialect,
            interop: false,
        };
        Self {
            dialect,
            names,
            filled: Mutex::new(HashMap::new()),
        }
    }

    /// Whether program-executor's workers run programs of the same table.
    pub(in crate::store) fn with_interop(mut self, interop: bool) -> Self {
        self.names.interop = interop;
        self
    }

    pub(in crate::store) fn names(&self) -> &Names {
        &self.names
    }

    /// A text with the names filled in, which is not kept.
    pub(in crate::store) fn fill(&self, template: &str) -> String {
        self.dialect.fill(&self.names, template)
    }

    fn of(&self, template: Cow<'static, str>) -> Arc<str> {
        let template = match template {
            Cow::Borrowed(template) => template,
            Cow::Owned(template) => return self.fill(&template).into(),
        };
        let mut filled = self.filled.lock().unwrap_or_else(PoisonError::into_inner);
        // A static text is known by its place; two places of one text only cost a second entry.
        let text = filled
            .entry((template.as_ptr().addr(), template.len()))
            .or_insert_with(|| self.fill(template).into());
        Arc::clone(text)
    }
}

/// A text and the values for its question marks.
pub(in crate::store) struct Statement<'a> {
    template: Cow<'static, str>,
    values: Vec<Value<'a>>,
}

/// A value of a statement.
#[derive(Clone, Debug)]
pub(in crate::store) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    /// Columns of many rows, for databases that take arrays.
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<Cow<'a, str>>>),
}

/// A statement of this text; names and the dialect's words stand in braces.
pub(in crate::store) fn sql<'a>(template: &'static str) -> Statement<'a> {
    Statement {
        template: Cow::Borrowed(template),
        values: Vec::new(),
    }
}

/// A statement whose text is made for one use.
pub(in crate::store) fn composed<'a>(template: String) -> Statement<'a> {
    Statement {
        template: Cow::Owned(template),
        values: Vec::new(),
    }
}

impl<'a> Statement<'a> {
    pub(in crate::store) fn int(self, value: impl Into<Option<i64>>) -> Self {
        self.value(Value::Int(value.into()))
    }

    pub(in crate::store) fn text(self, value: impl Into<Cow<'a, str>>) -> Self {
        self.value(Value::Text(Some(value.into())))
    }

    pub(in crate::store) fn maybe_text(self, value: Option<impl Into<Cow<'a, str>>>) -> Self {
        self.value(Value::Text(value.map(Into::into)))
    }

    #[cfg(feature = "postgres")]
    pub(in crate::store) fn ints(self, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        self.value(Value::Ints(values.into_iter().collect()))
    }

    #[cfg(feature = "postgres")]
    pub(in crate::store) fn texts(
        self,
        values: impl IntoIterator<Item = Option<Cow<'a, str>>>,
    ) -> Self {
        self.value(Value::Texts(values.into_iter().collect()))
    }

    pub(in crate::store) fn value(mut self, value: Value<'a>) -> Self {
        self.values.push(value);
        self
    }

    /// A value for the first place, before those that are there.
    pub(in crate::store) fn first(mut self, value: i64) -> Self {
        self.values.insert(0, Value::Int(Some(value)));
        self
    }

    #[cfg(test)]
    pub(in crate::store) fn template(&self) -> &str {
        &self.template
    }

    #[cfg(test)]
    pub(in crate::store) fn values(&self) -> &[Value<'a>] {
        &self.values
    }

    /// The statement with its text filled in, for rows of these SQL types.
    pub(in crate::store) fn filled<ST>(self, texts: &Texts) -> Filled<'a, ST> {
        Filled {
            text: texts.of(self.template),
            values: self.values,
            types: PhantomData,
        }
    }
}

/// A statement as a database takes it.
pub(in crate::store) struct Filled<'a, ST> {
    text: Arc<str>,
    values: Vec<Value<'a>>,
    types: PhantomData<fn() -> ST>,
}

/// A back end that takes our values.
pub(in crate::store) trait Takes: Backend {
    fn push<'b>(value: &'b Value<'_>, out: &mut AstPass<'_, 'b, Self>) -> QueryResult<()>;
}

/// What a back end can't take is a mistake in a text of ours.
pub(in crate::store) fn unsupported(value: &Value<'_>) -> QueryResult<()> {
    let message = format!("this database takes no such value: {value:?}");
    Err(diesel::result::Error::QueryBuilderError(message.into()))
}

impl<ST, DB: Takes> QueryFragment<DB> for Filled<'_, ST> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        let mut values = self.values.iter();
        for (at, piece) in self.text.split('?').enumerate() {
            if at > 0 {
                let Some(value) = values.next() else {
                    let message = format!("a statement lacks a value: {}", self.text);
                    return Err(diesel::result::Error::QueryBuilderError(message.into()));
                };
                DB::push(value, &mut out)?;
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}

impl<ST> QueryId for Filled<'_, ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST> Query for Filled<'_, ST> {
    type SqlType = ST;
}

impl<C, ST> diesel::RunQueryDsl<C> for Filled<'_, ST> {}

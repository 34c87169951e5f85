//! The words in which the databases differ.

/// `{step}`: the step at which a program is. The step of the store's own, where there is one, unless
/// another system has the program and has brought it on.
const STEP: &str =
    "COALESCE(CASE WHEN cur_step > step OR available_at IS NOT NULL THEN cur_step END, step, 0)";

/// One database's words; the verbs' texts name them in braces.
pub(in crate::store) struct Dialect {
    /// What stands around a name.
    pub(in crate::store) quote: char,
    /// `{now}`: this statement's time, as the columns that program-executor knows hold it.
    pub(in crate::store) now: &'static str,
    /// `{now_ms}`: this statement's time in milliseconds.
    pub(in crate::store) now_ms: &'static str,
    /// `{now_text}`: this statement's time as text, in UTC.
    pub(in crate::store) now_text: &'static str,
    /// `{ms column}`: such a column in milliseconds; `{}` stands for the column.
    pub(in crate::store) ms: &'static str,
    /// `{object}`: the function that makes a JSON object of names and values.
    pub(in crate::store) object: &'static str,
    /// `{text}`: the type that a text is cast to.
    pub(in crate::store) text: &'static str,
    /// `{json}`: the place of a value that is JSON; `{?}` stands for the place.
    pub(in crate::store) json: &'static str,
    /// `{greatest}`: the function that gives the greatest of its arguments.
    pub(in crate::store) greatest: &'static str,
    /// `{job}`: the name of the current job, from the list of jobs.
    pub(in crate::store) job: &'static str,
    /// `{history}`: the errors with one more, which is the place of a JSON object.
    pub(in crate::store) history: &'static str,
    /// `{locked}`: behind a `SELECT`: waits for the rows, and keeps them from others.
    pub(in crate::store) locked: &'static str,
    /// `{unlocked}`: behind a `SELECT`: the rows that nobody holds, kept from others.
    pub(in crate::store) unlocked: &'static str,
    /// `{index name}`: behind a table's name: the index to be used; `{}` stands for its name.
    pub(in crate::store) index: &'static str,
    /// `{available}`: behind the programs' table: only those that a worker may take now.
    pub(in crate::store) available: &'static str,
    /// `{claimable}`: behind the programs' table: those that can be claimed of a queue and a job, which
    /// are the places of values.
    pub(in crate::store) claimable: &'static str,
    /// `{in_order}`: puts those into the order in which they are claimed.
    pub(in crate::store) in_order: &'static str,
    /// `{insert}`: begins to insert a row where there is none of its key; `{absent}`: ends that.
    pub(in crate::store) insert: &'static str,
    pub(in crate::store) absent: &'static str,
    /// `{dormant}`: behind the programs' table: the other unfinished ones.
    pub(in crate::store) dormant: &'static str,
    /// `{delayed}`: behind the programs' table: those of them that are due when a delay is over.
    pub(in crate::store) delayed: &'static str,
    /// `{claimed}`: behind the programs' table: those that are due when a claim ends: a lease, or the
    /// time that a body is given whose claim was taken away.
    pub(in crate::store) claimed: &'static str,
    /// `{due}`: behind those: when one becomes due by itself, as their index has it.
    pub(in crate::store) due: &'static str,
    /// `{unfinished}`: behind the programs' table: both.
    pub(in crate::store) unfinished: &'static str,
    /// `{by_key}`: behind the programs' table: read by its key.
    pub(in crate::store) by_key: &'static str,
    /// `{delete}`: what begins a deletion of programs that are named by their key.
    pub(in crate::store) delete: &'static str,
    /// `{position}`: the function that tells where in a text another one begins, letter by letter.
    pub(in crate::store) position: &'static str,
    /// `{reserve}`: puts a key into the table of those that are unique for a time, with a run id and the
    /// time, where it is not there or its time is over; else it is kept from others, as it is.
    pub(in crate::store) reserve: &'static str,
    /// `{holds}`: that an unfinished program has the unique key, which is the place of a value.
    pub(in crate::store) holds: &'static str,
}

impl Dialect {
    /// A name between its quotes.
    pub(in crate::store) fn quoted(&self, name: &str) -> String {
        let quote = self.quote;
        let doubled = name.replace(quote, &format!("{quote}{quote}"));
        format!("{quote}{doubled}{quote}")
    }

    fn word(&self, names: &super::statement::Names, word: &str) -> Option<String> {
        let (word, argument) = word.split_once(' ').unwrap_or((word, ""));
        Some(match word {
            "t" => names.table(""),
            "schema" => self.quoted(names.schema().unwrap_or_default()),
            "table" => names.table(&format!("_{argument}")),
            "name" => self.quoted(&format!("{}_{argument}", names.bare())),
            "index" if self.index.is_empty() => String::new(),
            "index" => {
                let name = self.quoted(&format!("{}_{argument}", names.bare()));
                self.index.replace("{}", &name)
            }
            "ms" => self.ms.replace("{}", argument),
            "now" => self.now.to_owned(),
            "now_ms" => self.now_ms.to_owned(),
            "now_text" => self.now_text.to_owned(),
            "object" => self.object.to_owned(),
            "text" => self.text.to_owned(),
            "?" => "?".to_owned(),
            "json" => self.json.replace("{?}", "?"),
            "greatest" => self.greatest.to_owned(),
            "job" => self.fill(names, self.job),
            "step" => STEP.to_owned(),
            "last_step" => names.last_step().to_owned(),
            "history" => self.history.replace("{now_text}", self.now_text),
            "locked" => self.locked.to_owned(),
            "unlocked" => self.unlocked.to_owned(),
            "available" => self.fill(names, self.available),
            "claimable" => self.fill(names, self.claimable),
            "in_order" => self.in_order.to_owned(),
            "insert" => self.insert.to_owned(),
            "absent" => self.absent.to_owned(),
            "dormant" => self.fill(names, self.dormant),
            "delayed" => self.fill(names, self.delayed),
            "claimed" => self.fill(names, self.claimed),
            "due" => self.due.to_owned(),
            "unfinished" => self.fill(names, self.unfinished),
            "by_key" => self.by_key.to_owned(),
            "delete" => self.fill(names, self.delete),
            "position" => self.position.to_owned(),
            "reserve" => self.fill(names, self.reserve),
            "holds" => self.holds.to_owned(),
            _ => return None,
        })
    }

    /// A text with its words filled in. Braces around anything else stay.
    pub(in crate::store) fn fill(&self, names: &super::statement::Names, template: &str) -> String {
        let mut filled = String::with_capacity(template.len() * 2);
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            filled.push_str(&rest[..open]);
            rest = &rest[open..];
            let word = rest.find('}').map(|close| (&rest[1..close], close));
            match word.and_then(|(word, close)| Some((self.word(names, word)?, close))) {
                Some((word, close)) => {
                    filled.push_str(&word);
                    rest = &rest[close + 1..];
                }
                None => {
                    filled.push('{');
                    rest = &rest[1..];
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

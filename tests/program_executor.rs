//! A stand-in for the JavaScript program-executor: what its processes write into the table and the queues,
//! in its order, mistakes included. Written from the facts of its behaviour; it shares no code with Executor.
//!
//! A row shows no claim there: a message is the execution of a step, and the next one is published before
//! `step` is raised.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions,
        BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sql::Sql;

/// The settings of a worker process of the stand-in.
pub const SETTINGS: &str = "TEST_PROGRAM_EXECUTOR";

/// What a worker process of the stand-in is told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    /// RabbitMQ.
    pub amqp_url: String,
    /// The queue's name.
    pub queue: String,
    /// What its jobs do.
    pub library: BTreeMap<String, Job>,
    /// Where it kills itself, for this job.
    pub dies: Option<(String, Point)>,
}

/// What a job does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Job {
    /// It succeeds.
    Ok,
    /// It merges `{"seen": n}` into its data, n one higher each time, and succeeds.
    Counts,
    /// It fails for good.
    Fatal,
    /// It fails so often, and can be retried.
    Retries(u32),
    /// It fails for good, and nobody is to be told.
    Ignorable,
    /// It exceeds its execution time the first so many times.
    Exceeds(u32),
}

/// A point at which a worker process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    /// Its job has run.
    Ran,
    /// The next step's message is out.
    Published,
    /// The step is recorded.
    Recorded,
}

/// A process of the stand-in.
pub struct ProgramExecutor {
    sql: Sql,
    _connection: Connection,
    channel: Channel,
    settings: Settings,
    /// How often each job was begun for a program, in this process.
    begun: BTreeMap<(String, String), u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    run_id: String,
    jobs: Vec<String>,
    #[serde(default)]
    program_data: Value,
}

enum Failure {
    /// Back after a second.
    Retryable,
    /// Over.
    Final,
}

impl ProgramExecutor {
    /// Connects to both, and declares the queue as producers do.
    ///
    /// # Panics
    /// One of them is not there.
    pub async fn connect(sql: Sql, settings: Settings) -> Self {
        let connection = Connection::connect(&settings.amqp_url, ConnectionProperties::default());
        let connection = connection.await.expect("a connection to RabbitMQ");
        let channel = connection.create_channel().await.expect("a channel");
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        select.await.expect("confirms");
        let this = Self {
            sql,
            _connection: connection,
            channel,
            settings,
            begun: BTreeMap::new(),
        };
        let retry = this.retry_queue();
        this.declare(&this.settings.queue, &retry, None).await;
        this
    }

    fn retry_queue(&self) -> String {
        format!("{}-retry-1000", self.settings.queue)
    }

    async fn declare(&self, name: &str, dead_letters: &str, ttl: Option<i32>) {
        let mut arguments = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        arguments.insert("x-dead-letter-exchange".into(), text(""));
        arguments.insert("x-dead-letter-routing-key".into(), text(dead_letters));
        if let Some(ttl) = ttl {
            arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(ttl));
        }
        let options = QueueDeclareOptions::default();
        let declared = self
            .channel
            .queue_declare(ShortString::from(name), options, arguments);
        declared.await.expect("the queue is as it is to be");
    }

    /// Creates a program; its run id.
    ///
    /// # Panics
    /// The database or RabbitMQ refuses.
    pub async fn create(&self, jobs: &[&str], program_data: &Value, job_data: &Value) -> String {
        let run_id: u64 = uuid::Uuid::new_v4().as_u64_pair().0 >> 12;
        let run_id = run_id.to_string();
        self.sql.sql(&format!(
            "INSERT INTO programs (run_id, jobs, step, job_data, program_data)
             VALUES ('{run_id}', {}, 0, {}, {})",
            quoted(&json!(jobs)),
            quoted(job_data),
            quoted(program_data),
        ));
        let message = Message {
            run_id: run_id.clone(),
            jobs: jobs.iter().map(|&job| job.to_owned()).collect(),
            program_data: program_data.clone(),
        };
        self.publish(&message).await;
        run_id
    }

    async fn publish(&self, message: &Message) {
        let body = serde_json::to_vec(message).expect("JSON");
        let queue = self.settings.queue.as_str();
        let published = self.channel.basic_publish(
            "".into(),
            queue.into(),
            BasicPublishOptions::default(),
            &body,
            BasicProperties::default().with_timestamp(1),
        );
        let confirm = published.await.expect("published").await;
        assert!(confirm.expect("confirmed").is_ack());
    }

    /// Works until the process ends.
    ///
    /// # Panics
    /// The database or RabbitMQ refuses.
    pub async fn work(mut self) {
        let queue = self.settings.queue.clone();
        let retry = self.retry_queue();
        self.declare(&retry, &queue, Some(1000)).await;
        self.channel
            .basic_qos(1, BasicQosOptions::default())
            .await
            .expect("a prefetch of one");
        let consumed = self.channel.basic_consume(
            queue.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let mut messages = consumed.await.expect("a consumer");
        while let Some(delivery) = messages.next().await {
            self.take(delivery.expect("a message")).await;
        }
    }

    async fn take(&mut self, delivery: Delivery) {
        let message: Message = serde_json::from_slice(&delivery.data).expect("a message of ours");
        let done = self.process(&message).await;
        let settled = match done {
            Err(Failure::Retryable) => {
                let back = BasicNackOptions {
                    requeue: false,
                    ..BasicNackOptions::default()
                };
                self.channel.basic_nack(delivery.delivery_tag, back).await
            }
            Ok(()) | Err(Failure::Final) => {
                let options = BasicAckOptions::default();
                self.channel.basic_ack(delivery.delivery_tag, options).await
            }
        };
        settled.expect("settled");
    }

    async fn process(&mut self, message: &Message) -> Result<(), Failure> {
        let run_id = message.run_id.clone();
        let job = message.jobs[0].clone();
        let set = |columns: &str| {
            let text = format!(
                "UPDATE programs SET updated_at = CURRENT_TIMESTAMP, {columns}
                 WHERE run_id = '{run_id}'"
            );
            self.sql.sql(&text);
        };
        let this = format!("programs WHERE run_id = '{run_id}'");
        if self.sql.value("errored_at", &this).is_some() {
            return Ok(());
        }
        let begun = self.begun.entry((run_id.clone(), job.clone())).or_default();
        *begun += 1;
        match self.settings.library.get(&job) {
            None | Some(Job::Ok) => {}
            Some(Job::Counts) => {
                let all = self.sql.value("job_data", &this).unwrap_or_default();
                let mut all: Value = serde_json::from_str(&all).expect("JSON");
                let seen = all[&job]["seen"].as_u64().unwrap_or(0) + 1;
                all[&job]["seen"] = json!(seen);
                set(&format!("job_data = {}", quoted(&all)));
            }
            Some(Job::Retries(times)) if *begun <= *times => {
                set("step_retry_count = step_retry_count + 1");
                set("error_message = 'busy'");
                return Err(Failure::Retryable);
            }
            Some(Job::Exceeds(times)) if *begun <= *times => return Err(Failure::Retryable),
            Some(Job::Retries(_) | Job::Exceeds(_)) => {}
            Some(Job::Fatal | Job::Ignorable) => {
                set("error_message = 'broken', errored_at = CURRENT_TIMESTAMP");
                return Err(Failure::Final);
            }
        }
        let dies = self.settings.dies.as_ref();
        let dies_at = |point| {
            if dies.is_some_and(|(whose, at)| *whose == job && *at == point) {
                std::process::abort();
            }
        };
        dies_at(Point::Ran);
        if message.jobs.len() > 1 {
            let next = Message {
                jobs: message.jobs[1..].to_vec(),
                ..message.clone()
            };
            self.publish(&next).await;
            dies_at(Point::Published);
            set("step = step + 1, step_retry_count = 0");
        } else {
            set("finished_at = CURRENT_TIMESTAMP, step_retry_count = 0");
        }
        dies_at(Point::Recorded);
        Ok(())
    }
}

/// JSON as an SQL text.
fn quoted(json: &Value) -> String {
    format!("'{}'", json.to_string().replace('\'', "''"))
}

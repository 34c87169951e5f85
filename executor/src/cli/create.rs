//! `create`: a program from data.

use serde_json::{Map, Value};

use super::{creation::Creation, data::Json};
use crate::{
    error::{Error, ErrorKind, Result},
    handle::Builder,
    program::{DynProgram, ProgramExt},
};

/// Create a program from the names of its jobs and their data
#[derive(clap::Args)]
pub(super) struct Create {
    /// The names of its jobs, in order
    #[arg(long, required = true, value_name = "NAMES", value_delimiter = ',')]
    jobs: Vec<String>,
    /// Those of its jobs that other workers have and this application lacks; nothing of them is checked
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    external: Vec<String>,
    /// The data that all its jobs can read: JSON, @file, or - for stdin
    #[arg(long, value_name = "JSON", value_parser = Json::parse)]
    program_data: Option<Json>,
    /// The data of its jobs, as {"job": {…}, "job#2": {…}}: JSON, @file, or - for stdin
    #[arg(long, value_name = "JSON", value_parser = Json::parse)]
    job_data: Option<Json>,
    /// A name to find it by
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    creation: Creation,
}

impl Create {
    pub(super) async fn perform(self, builder: Builder) -> Result<()> {
        if let (Some(Json::Stdin), Some(Json::Stdin)) = (&self.program_data, &self.job_data) {
            return Err(Error::new(
                ErrorKind::Usage,
                "only one of --program-data and --job-data can come from stdin; put the other into \
                 a file",
            ));
        }
        let program_data = self.program_data.map_or(Ok(Value::Null), Json::read)?;
        let job_data = match self
            .job_data
            .map_or(Ok(Value::Object(Map::new())), Json::read)?
        {
            Value::Object(fields) => fields,
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    "job data must be an object with the data of each job by its name",
                ));
            }
        };
        let (jobs, external) = (&self.jobs, &self.external);
        let mut program =
            DynProgram::from_json_and_external(jobs, &program_data, &job_data, external)?;
        if let Some(name) = self.name {
            program = program.named(name);
        }
        self.creation.perform(builder, program).await
    }
}
